#!/usr/bin/env bash

# Copyright The Stagegate Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs every fuzz target for a while, a minute unless another time is given: hack/fuzz.sh 10s. All of them run, whatever one finds; it fails
# if one found anything, or had no time to look for it, and names it. What was found is in testdata/fuzz beside the target.
# `hack/fuzz.sh -list` lists the targets.

set -o errexit
set -o nounset
set -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

time=${1:-1m}
found=0 failed=() fewest="" slowest=""
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The packages are those with a target in their source, since listing builds every test. The go tool lists what it then runs, before the name of
# the package.
mapfile -t packages < <(grep -rl --include='*_test.go' '^func Fuzz' pkg test | xargs -rn1 dirname | sort -u | sed 's,^,./,')
# A package that does not compile is an error, and no package without targets.
listed=$(go test -list '^Fuzz' "${packages[@]}")
while read -r package target; do
	found=$((found + 1))
	if [ "$time" = -list ]; then
		echo "$package $target"
		continue
	fi
	echo "# $target in $package for $time"
	if ! go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s 2>&1 | tee "$log"; then
		failed+=("$package $target")
		continue
	fi
	# The time begins with what is known from before. On a loaded machine it may end with that, which the go tool takes for success.
	if ! grep -q 'now fuzzing with' "$log"; then
		failed+=("$package $target: has tried nothing new within $time, give it more")
		continue
	fi
	tried=$(sed -n 's/.*execs: \([0-9]*\) .*/\1/p' "$log" | tail -1)
	if [ -z "$fewest" ] || [ "${tried:-0}" -lt "$fewest" ]; then
		fewest=${tried:-0} slowest="$package $target"
	fi
done < <(awk '/^Fuzz/ {targets[n++] = $1} /^ok/ {for (i = 0; i < n; i++) print $2, targets[i]; n = 0}' <<<"$listed")

if [ "$found" = 0 ]; then
	echo "There is no fuzz target: go test -list has failed." >&2
	exit 1
fi
if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAIL  %s\n' "${failed[@]}" >&2
	exit 1
fi
[ "$time" = -list ] || echo "$found fuzz targets, $time each, have found nothing. The fewest inputs had $slowest: $fewest"
