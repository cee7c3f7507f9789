// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Phase is how far an import is. Each is written down before what it stands for begins, so that whoever was killed goes on from there.
type Phase string

const (
	// Importing means that objects are being copied. The hub serves its own, and whatever is in the store may be thrown away.
	Importing Phase = "Importing"
	// Switching means that the copies were compared with the objects of the hub, and that its API is being passed on to the server.
	Switching Phase = "Switching"
	// Complete means that the store has the objects and the server serves them.
	Complete Phase = "Complete"
	// Returning means that the hub is being given its objects back.
	Returning Phase = "Returning"
)

// recordKey is below the prefix of the store, beside the objects.
const recordKey = "import"

// Record tells how far the import into a store is. A store without one was not imported.
type Record struct {
	Phase Phase `json:"phase"`
	// Hub is the uid of the hub that the objects are of.
	Hub types.UID `json:"hub"`
	// By is the user of the hub who began it.
	By string `json:"by,omitempty"`
	// Started is when it began.
	Started metav1.Time `json:"started"`
	// Definitions are the uids of the CustomResourceDefinitions whose objects were copied, by name, known from Switching on.
	Definitions map[string]types.UID `json:"definitions,omitempty"`
	// Counts is how many objects of a resource were copied, known from Switching on.
	Counts map[string]int `json:"counts,omitempty"`
	// Digest stands for the names and uids of all of them.
	Digest string `json:"digest,omitempty"`
	// Revision of the store at which all of them were written. What has a later one was written by somebody else.
	Revision int64 `json:"revision,omitempty"`
	// Begun is when controllers were started on the objects. From then on there is no way back.
	Begun *metav1.Time `json:"begun,omitempty"`

	// version is the revision of the record itself, 0 where there is none.
	version int64
}

// Obstacle returns why the server must neither answer for the objects nor work on them, empty where it may. A nil Record is no obstacle.
func (r *Record) Obstacle() string {
	switch {
	case r == nil || r.Phase == Complete:
		return ""
	case r.Phase == Returning:
		return "the hub is being given back to KubeFleet: run stagegate-apiserver import --back again until it says that it is done"
	}
	return fmt.Sprintf("the import from KubeFleet is not complete (%s): run stagegate-apiserver import again until it says that it is, or with --back to undo it", r.Phase)
}

// TakenBack is what a server says that was started on an import which is taken back by now.
const TakenBack = "the hub was given back to KubeFleet: stop this server"

// errRecordChanged reports that somebody else has written the record since it was read.
var errRecordChanged = errors.New("another import, or the server, has changed the record of the import meanwhile: run the command again")

// Records reads and writes the record in a store.
type Records struct {
	Client *clientv3.Client
	// Prefix is that of the store.
	Prefix string
}

func (r Records) key() string { return path.Join(r.Prefix, recordKey) }

// Get returns the record, nil where there is none.
func (r Records) Get(ctx context.Context) (*Record, error) {
	response, err := r.Client.Get(ctx, r.key())
	if err != nil {
		return nil, fmt.Errorf("reading the record of the import: %w", err)
	}
	if len(response.Kvs) == 0 {
		return nil, nil
	}
	return decodeRecord(response.Kvs[0].Value, response.Kvs[0].ModRevision)
}

func decodeRecord(data []byte, version int64) (*Record, error) {
	record := &Record{version: version}
	if err := json.Unmarshal(data, record); err != nil {
		return nil, fmt.Errorf("reading the record of the import: %w", err)
	}
	return record, nil
}

// put writes the record over the one that it was read from, and fails with errRecordChanged where that is not there any more.
func (r Records) put(ctx context.Context, record *Record) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	response, err := r.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(r.key()), "=", record.version)).
		Then(clientv3.OpPut(r.key(), string(data))).
		Commit()
	if err != nil {
		return fmt.Errorf("writing the record of the import: %w", err)
	}
	if !response.Succeeded {
		return errRecordChanged
	}
	record.version = response.Header.Revision
	return nil
}

func (r Records) remove(ctx context.Context, record *Record) error {
	response, err := r.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(r.key()), "=", record.version)).
		Then(clientv3.OpDelete(r.key())).
		Commit()
	if err != nil {
		return fmt.Errorf("deleting the record of the import: %w", err)
	}
	if !response.Succeeded {
		return errRecordChanged
	}
	return nil
}

// Begin records that controllers are started, from which on there is no way back. It fails where the import is not complete, or was taken back:
// controllers that find no members take away what those of the hub have. Going back writes the same record: only one of the two succeeds.
func (r Records) Begin(ctx context.Context, now metav1.Time) error {
	record, err := r.Get(ctx)
	if err != nil {
		return err
	}
	if record == nil {
		return errors.New(TakenBack)
	}
	if obstacle := record.Obstacle(); obstacle != "" {
		return errors.New(obstacle)
	}
	if record.Begun != nil {
		return nil
	}
	record.Begun = &now
	return r.put(ctx, record)
}

// Follow calls a function with the record as it is, and again with each change of it, nil where there is none, until the context ends.
func (r Records) Follow(ctx context.Context, told func(*Record)) error {
	response, err := r.Client.Get(ctx, r.key())
	if err != nil {
		return fmt.Errorf("reading the record of the import: %w", err)
	}
	var record *Record
	if len(response.Kvs) > 0 {
		if record, err = decodeRecord(response.Kvs[0].Value, response.Kvs[0].ModRevision); err != nil {
			return err
		}
	}
	told(record)
	for changes := range r.Client.Watch(ctx, r.key(), clientv3.WithRev(response.Header.Revision+1)) {
		if err := changes.Err(); err != nil {
			return fmt.Errorf("watching the record of the import: %w", err)
		}
		for _, event := range changes.Events {
			var record *Record
			if event.Type == clientv3.EventTypePut {
				if record, err = decodeRecord(event.Kv.Value, event.Kv.ModRevision); err != nil {
					return err
				}
			}
			told(record)
		}
	}
	return ctx.Err()
}
