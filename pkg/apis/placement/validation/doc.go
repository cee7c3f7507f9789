// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package validation holds the rules of the placement API group that markers on the types cannot say: those over several fields,
// over the old and the new object, and those on syntax. It takes the hub types and looks at one object alone; metadata is the
// registry's, and what other objects say is for admission.
package validation
