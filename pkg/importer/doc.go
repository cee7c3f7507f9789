// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package importer moves a hub from KubeFleet to Stagegate: it copies the objects of KubeFleet's CustomResourceDefinitions into an empty store, as
// they are, and has the hub pass their API groups on to the server. It asks the registry what an object may be, and goes neither through
// admission nor through the API, which would make new objects of them. It deletes nothing on the hub: the definitions and their objects stay, and
// are what a hub goes back to.
package importer
