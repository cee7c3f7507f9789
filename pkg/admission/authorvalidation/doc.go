// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authorvalidation is the admission plugin that asks whether the author of a placement, an override or an envelope may do
// themselves what the server would do for them: read what is placed, write the status that is reported back, change what is overridden, write
// what is wrapped, and the same for what a write ends. It judges whoever writes or deletes, when they do; of envelopes that are placed it tells
// only those who may read them what they have, and else it reads no object, so that no answer tells whether one exists. It must not know how
// kinds are found, or what becomes of what is written.
package authorvalidation
