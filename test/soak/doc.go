// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command soak has a server work for a long time while it is killed again and again, and watches over what it may not do. The hub is
// real, and so is the server: a process of its own on its embedded etcd. The member clusters are made up, since nobody has fifty of
// them on one machine: the soak joins them and answers each Work as an applier would. It talks to the server through the hub, as users
// do, and believes nothing but what it sees there.
package main
