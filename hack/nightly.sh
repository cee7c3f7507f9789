#!/usr/bin/env bash

# Copyright The Stagegate Authors.
# SPDX-License-Identifier: Apache-2.0

# What takes too long for every change. All steps run, or those that STEPS names, whatever one of them finds; it fails if one has. Each has
# a log in _output/nightly, and summary.txt there has a line for each. The log of a server that a soak failed with is beside it.

set -o errexit
set -o nounset
set -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
output="$PWD/_output/nightly"

# The steps, in the order of how likely they find something for the time that they take.
all=(simulator handover kills fuzz e2e oldkube soak fleet)

simulator() { go test -count=1 -timeout 120m ./pkg/rollout/updaterun/engine -run '^TestSimulator$' -sim.runs=20000 -sim.seed="$seed"; }

handover() {
	go test -count=1 -timeout 120m ./pkg/rollout/apply -run '^(TestNothingThatIsSelectedIsEverDeleted|TestTwoPlacementsLoseNothingToEachOther)$' \
		-handover.runs=1000 -handover.seed="$seed" -rivals.runs=500 -rivals.seed="$seed"
}

# Twenty kills, so close to each other that the server never gets to rest.
kills() { go run ./test/soak -duration 12m -kill-every 20s -kills 20 -runs 70 -seed "$seed" -log "$server_log"; }

fuzz() { hack/fuzz.sh 1m; }

e2e() { (cd test/hub && STAGEGATE_NIGHTLY=1 go test -count=1 -timeout 120m -parallel 2 -v ./e2e/...); }

# What depends on the hub's own API: its admission, its aggregation, its roles, its garbage collector.
oldkube() {
	(cd test/hub && go test -count=1 -timeout 120m -parallel 2 -v ./e2e -oldkube \
		-run '^(TestHub|TestFailures)$/^(Tutorial.*|Approval|Permissions|Roles|Policies|GuardRails|Authors|ServerKilledWithinStage|ServerHasTheRightsItNeeds|PullMember|NothingIsLeft)$')
}

soak() { go run ./test/soak -duration 30m -kills 20 -runs 200 -seed "$seed" -log "$server_log"; }

# 10,000 Works, with the garbage collector told to stay below what the benchmark may have.
fleet() {
	GOMEMLIMIT=10GiB go test -count=1 -timeout 240m -run '^$' -bench 'Fleet$' -benchtime 1x ./test/bench/ -fleet.members=1000
}

# A night is different from the one before, and its summary says how to repeat it.
seed=${SEED:-$(date +%s)}
read -ra steps <<<"${STEPS:-${all[*]}}"
for step in "${steps[@]}"; do
	if [[ " ${all[*]} " != *" $step "* ]]; then
		echo "There is no step $step. The steps are: ${all[*]}" >&2
		exit 1
	fi
done

mkdir -p "$output"
# Two would write the same files, and take each other's hubs down. The lock ends with this process, since no step inherits it.
exec 9>>"$output/lock"
if ! flock --nonblock 9; then
	echo "Another hack/nightly.sh runs in $PWD: wait for it, or stop it. What it has done so far is in ${output#"$PWD/"}/summary.txt." >&2
	exit 1
fi
summary="$output/summary.txt"
{
	echo "$(date -u +%FT%TZ)  $(git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown)  $(nproc) cores  seed $seed"
} | tee "$summary"
failed=0
for step in "${steps[@]}"; do
	start=$SECONDS
	verdict=ok
	server_log="$output/$step-server.log"
	rm -f "$server_log"
	# Not as a condition: a step ends with its first failure.
	set +o errexit
	(
		set -o errexit
		"$step"
	) >"$output/$step.log" 2>&1 9>&-
	code=$?
	set -o errexit
	# The go tool is content with a test that has another name by now.
	if [ "$code" != 0 ] || grep -q '^ok.*\[no tests to run\]' "$output/$step.log"; then
		verdict=FAIL failed=1
	fi
	# The last line that says how it went, and is not about one test.
	said=$(grep -E '^(PASS|FAIL|ok|[0-9]+ fuzz targets|error:|panic:)' "$output/$step.log" | grep -vxE 'PASS|FAIL' | tail -1 | tr '\t' ' ' | cut -c1-170 || true)
	if [ -e "$server_log" ]; then
		said+="; the server's log is in ${server_log#"$PWD/"}"
	fi
	printf '%-10s %-4s %4dm%02ds  %s\n' "$step" "$verdict" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) "$said" | tee -a "$summary"
done
echo "The logs are in ${output#"$PWD/"}."
exit "$failed"
