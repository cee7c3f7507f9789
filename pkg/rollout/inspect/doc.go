// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inspect looks at one member cluster: whether it answers, whose member it is, and what it has. It makes a cluster a store's member,
// withdraws what Stagegate itself has there, and puts what it saw into a status. Whoever has the credentials of a member uses it: the server
// for members that it reaches, and the agent on a member that the hub cannot reach. It must not know the hub: it reads nothing there, and
// writes nothing there.
package inspect
