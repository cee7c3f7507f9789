// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inprocess connects clients to the API of a server in the same process. Requests pass through all of the server's handlers, from
// authentication and audit to admission, as those of any client do. Only two things are missing: the network, and the encoding of objects.
//
// A Network is the connection. Its Config makes a client that calls the server's handlers: a write of an object in the goroutine of the client,
// and every other request in one of its own, with a response that is read while it is written. What a handler does to a request ends where it would end with a connection: it is told when its
// client goes away, waits when its client does not read, and its panic is an error of that one request.
//
// The clients of NewClientset speak a media type of their own over it, in which an object is encoded as a reference of a few bytes:
//
//   - The object of a request is copied, and the reference is sent. The handler decodes it to the copy, which is its own from then on.
//   - The object of a response, or of an event of a watch, is put into an outbox by the encoder of that response, and the reference is
//     written. The client decodes it to that object.
//
// Nothing that one side still has is given to the other: who gets an object may change it. Copies have no managedFields, which are a third of
// many objects and which no controller reads; a write of an object without them keeps those that are stored.
//
// A reference means something within the one response it was made for. The outbox belongs to the response's encoder and to the client's
// exchange. When both are gone it is garbage, even if nobody has read the response. Options, patches and errors of the filters before the
// handlers go as JSON, as does every object that the two sides do not know by the same Go type.
//
// Nobody else can use the media type. It is known to handlers of their own, that Route leads to only with what an unexported key of the
// request's context has. The handlers that everybody reaches, and with them OpenAPI and discovery, are as if it did not exist.
package inprocess
