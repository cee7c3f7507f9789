// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import (
	"errors"
	"fmt"
)

// ErrHubRecordChanged reports that a store does not hold the hub any more that it was read to hold.
var ErrHubRecordChanged = errors.New("the store's record of its hub has changed meanwhile")

// OtherStoreError reports that something is ruled by another store.
type OtherStoreError struct {
	// Holder is where the id was found.
	Holder string
	// Found is the id found there, Want the one that asked.
	Found, Want string
	// Adopt says how a person hands it over to the store that asked.
	Adopt string
}

func (e *OtherStoreError) Error() string {
	return fmt.Sprintf("%s names store %s, but the store of this server is %s; if that store is gone for good, adopt what it ruled: %s",
		e.Holder, e.Found, e.Want, e.Adopt)
}

// OtherHubError reports that a store belongs to another hub than the one that it has met.
type OtherHubError struct {
	// Holder is what names the hub that was found.
	Holder string
	// Found is the uid of that hub, Want the uid of the hub that the store has met.
	Found, Want string
	// Adopt says how a person makes the hub that was met the store's own.
	Adopt string
}

func (e *OtherHubError) Error() string {
	return fmt.Sprintf("%s names hub %s, but this hub is %s (the uid of its namespace kube-system): the hub was rebuilt, or this store "+
		"is a copy of one that is in use; if hub %s is gone for good, and all that is placed is back on this one, adopt this one: %s",
		e.Holder, e.Found, e.Want, e.Found, e.Adopt)
}
