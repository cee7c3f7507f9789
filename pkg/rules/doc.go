// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rules has no code. The packages below it tell what the objects of the API mean: whether a run is over, which decisions open a
// gate, which stage has which clusters, which overrides are in force, what can be placed, what is available. They are pure functions over
// plain data, which registry, admission, engine and controllers all ask, so that each rule stands once. Of this project they import pkg/apis
// and each other only.
package rules
