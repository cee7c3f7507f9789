// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notify tells NotificationSinks what happens to runs. The history of a run is the outbox: its entries are numbered and stored before
// anybody hears of them. A sink has a cursor for each run, in its status: the number of the last entry that is handled. It moves once the
// endpoint has accepted the entry, so that a server which is killed in between sends it once more, with the same id, and none is left out.
//
//	controller.go  starts and stops a sender for each sink, and writes the statuses of sinks
//	sender.go      sends what a sink is to be told, each run in its order, and tries again
//	ledger.go      how far a sink is, without a client or a goroutine
//	request.go     one request
//
// Each sink has a queue and workers of its own, so that one which is slow or dead keeps neither another nor any run waiting. The package must
// not know how a run moves, and never writes to one.
package notify
