// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dashboard shows rollouts in a browser, and lets people approve and operate them there. It is a process on the user's machine with the
// user's kubeconfig: whatever it reads or does is a request of that user to the hub. It listens on loopback only, wants a cookie that a key printed on
// the terminal was exchanged for, and has fixed routes: no path of the API is reachable through it. Pages are made on the server from pkg/view. What
// changes on them is sent as sections over server-sent events, so they work without a script as well.
package dashboard
