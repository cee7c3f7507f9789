// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storagecodec reads what is stored with less work than the codecs that read what clients send: it does not parse the bytes of an
// object twice, and does not decode an object that this process has just written once more when etcd's watch brings it. It knows nothing of
// what is stored, and what it returns depends on the bytes alone.
package storagecodec
