// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package work turns each binding into Works in its member's namespace, with the manifests of the resource snapshot that the binding
// names, and turns what the Works report into the binding's status. It decides nothing about which snapshot a cluster is to have, and
// knows no member: applying is the business of whoever serves the Works.
package work
