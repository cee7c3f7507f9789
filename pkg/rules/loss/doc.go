// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loss tells what a Work may note of its AppliedWork that was deleted on the member. Whoever has the token of a member's agent may write
// the note. So it has no say in what may be written or removed on the member: objects there tell that themselves.
package loss
