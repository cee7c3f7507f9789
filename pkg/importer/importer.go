// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	// returnTimeout is how long the hub may take to answer for the groups again once its APIServices say so. It takes seconds.
	returnTimeout = 2 * time.Minute
	// returnInterval is how often it is asked, since there is no event for it.
	returnInterval = 250 * time.Millisecond
)

// Options are what an import needs.
type Options struct {
	// Hub is the configuration of a client of the hub.
	Hub *rest.Config
	// Client is that of the store's etcd, and Prefix begins all keys of the store. Without a client a dry run does not look at the store.
	Client *clientv3.Client
	Prefix string
	// RESTOptions are those of the server.
	RESTOptions generic.RESTOptionsGetter
	// MaxBytes is how large an object that is not compressed may be.
	MaxBytes int
	// Claim makes the hub and the store belong together, and fails where another store rules the hub.
	Claim func(ctx context.Context, hub kubernetes.Interface) error
	// Out gets what people are told.
	Out io.Writer
	// Between is called between any two steps with the name of the one to come, and ends the import where it fails. Nil does nothing.
	Between func(step string) error
}

// Importer moves a hub to Stagegate and back.
type Importer struct {
	options Options
	hub     *hub
	store   *target
	records Records
}

// New returns an importer.
func New(options Options) (*Importer, error) {
	h, err := newHub(options.Hub)
	if err != nil {
		return nil, err
	}
	return &Importer{
		options: options,
		hub:     h,
		store:   &target{client: options.Client, prefix: options.Prefix, options: options.RESTOptions, storages: map[schema.GroupResource]*store.Storage{}},
		records: Records{Client: options.Client, Prefix: options.Prefix},
	}, nil
}

// Close ends what the importer holds of the store.
func (i *Importer) Close() { i.store.destroy() }

func (i *Importer) say(format string, args ...any) { fmt.Fprintf(i.options.Out, format+"\n", args...) }

func (i *Importer) step(name string) error {
	if i.options.Between == nil {
		return nil
	}
	return i.options.Between(name)
}

// DryRun says what Import would do, and fails where it would refuse. It writes nothing and does not look at the store.
func (i *Importer) DryRun(ctx context.Context) error {
	if err := i.checkLocal(ctx); err != nil {
		return err
	}
	read, err := i.read(ctx)
	if err != nil {
		return err
	}
	dependents, err := i.hub.dependents(ctx)
	if err != nil {
		return err
	}
	i.say("Would import:\n%s", countsText(read.counts()))
	for _, d := range dependents {
		if fleet, _ := d.owners(); len(fleet) > 0 {
			i.say("Would take off %s its owner %s %s", d, fleet[0].Kind, fleet[0].Name)
		}
	}
	if err := i.tell(ctx, read); err != nil {
		return err
	}
	i.say("Nothing was written. Whether the store is empty is seen by the import itself.")
	return nil
}

// Import moves the hub to the store. Whatever ended it, it may be called again, and goes on.
func (i *Importer) Import(ctx context.Context) error {
	record, err := i.records.Get(ctx)
	if err != nil {
		return err
	}
	hubUID, err := storeid.ClusterUID(ctx, i.hub.kube)
	if err != nil {
		return err
	}
	if record != nil && record.Hub != types.UID(hubUID) {
		return fmt.Errorf("this store has the objects of the hub with uid %s, and this is the one with uid %s: take an empty store", record.Hub, hubUID)
	}
	switch {
	case record == nil:
		if record, err = i.begin(ctx, types.UID(hubUID)); err != nil {
			return err
		}
	case record.Phase == Returning:
		return errors.New(record.Obstacle())
	case record.Phase == Complete:
		i.say("The import is complete.")
		return nil
	}
	if record.Phase == Importing {
		if err := i.copy(ctx, record); err != nil {
			return err
		}
	}
	return i.complete(ctx, record)
}

// begin refuses what is not to be imported, and writes down that an import has begun.
func (i *Importer) begin(ctx context.Context, hubUID types.UID) (*Record, error) {
	names, count, err := i.store.objects(ctx)
	if err != nil {
		return nil, err
	}
	if count > 0 {
		return nil, fmt.Errorf("the store has %d objects already, such as %s: an import takes an empty one", count, strings.Join(names, ", "))
	}
	if err := i.checkLocal(ctx); err != nil {
		return nil, err
	}
	if _, err := i.read(ctx); err != nil {
		return nil, err
	}
	user, err := i.hub.user(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.step("claim"); err != nil {
		return nil, err
	}
	if err := i.options.Claim(ctx, i.hub.kube); err != nil {
		return nil, err
	}
	if err := i.step("record"); err != nil {
		return nil, err
	}
	record := &Record{Phase: Importing, Hub: hubUID, By: user, Started: metav1.Now()}
	return record, i.records.put(ctx, record)
}

// checkLocal wants a hub that has the definitions and answers for them itself.
func (i *Importer) checkLocal(ctx context.Context) error {
	found, err := i.hub.apiServices(ctx)
	if err != nil {
		return err
	}
	local := 0
	for _, apiService := range found {
		if !isLocal(apiService) {
			return fmt.Errorf("the hub passes APIService %s on to a server already, so that the objects of its CustomResourceDefinitions cannot be read", apiService.GetName())
		}
		local++
	}
	if local == 0 {
		return fmt.Errorf("the hub has no CustomResourceDefinitions of %s: there is nothing to import", strings.Join(groups, " or "))
	}
	return nil
}

// read reads all objects, and fails where one of them cannot be taken: what Stagegate does not know it can neither update nor remove.
func (i *Importer) read(ctx context.Context) (*source, error) {
	read, err := i.hub.read(ctx, i.options.MaxBytes)
	if err != nil {
		return nil, err
	}
	if n := len(read.refused); n > 0 {
		i.say("Cannot be taken:")
		for _, refused := range read.refused {
			i.say("  %s", refused)
		}
		return nil, fmt.Errorf("%d objects cannot be taken, see above: correct or delete them on the hub and run the import again; nothing was changed for them", n)
	}
	kubeconfigs, err := i.hub.kubeconfigs(ctx)
	if err != nil {
		return nil, err
	}
	read.adapt(kubeconfigs)
	return read, nil
}

// tell says what an administrator should know of what was read.
func (i *Importer) tell(ctx context.Context, read *source) error {
	for _, note := range read.notes {
		i.say("Note: %s", note)
	}
	webhooks, err := i.hub.webhooks(ctx)
	if err != nil {
		return err
	}
	for _, webhook := range webhooks {
		i.say("Note: Stagegate calls %s too. If it is KubeFleet's, nobody answers any more: kubectl delete %s", webhook, webhook)
	}
	return nil
}

// copy has the hub refuse writes to the objects, takes the owners of the fleet off what is not moved, writes the objects, and compares them with
// what the hub has then. Where it fails the hub takes writes again; where it does not, only once the import is complete or taken back.
func (i *Importer) copy(ctx context.Context, record *Record) (err error) {
	if err := i.checkLocal(ctx); err != nil {
		return err
	}
	if err := i.step("freeze"); err != nil {
		return err
	}
	defer func() {
		// Another import of this store has taken over, and needs it.
		if err == nil || record.Phase != Importing || errors.Is(err, errRecordChanged) || errors.Is(err, errStoreChanged) {
			return
		}
		// Whatever ended the import, KubeFleet may go on with its objects.
		thawing, cancel := context.WithTimeout(context.WithoutCancel(ctx), frozenTimeout)
		defer cancel()
		err = errors.Join(err, i.hub.thaw(thawing))
	}()
	if err := i.hub.freeze(ctx); err != nil {
		return err
	}
	if err := i.step("owners"); err != nil {
		return err
	}
	dependents, err := i.hub.dependents(ctx)
	if err != nil {
		return err
	}
	for _, d := range dependents {
		if err := i.hub.release(ctx, d); err != nil {
			return err
		}
		if err := i.step("next owner"); err != nil {
			return err
		}
	}
	i.say("Took owners of the fleet off %d objects, and noted them there.", len(dependents))

	read, err := i.read(ctx)
	if err != nil {
		return err
	}
	if err := i.step("objects"); err != nil {
		return err
	}
	// Another import of this store that is under way must not end after this one has thrown away what it wrote.
	if err := i.records.put(ctx, record); err != nil {
		return err
	}
	// What an import that was killed has written may not be what the hub has now.
	if err := i.store.empty(ctx, record); err != nil {
		return err
	}
	for _, object := range read.objects {
		if err := i.store.create(ctx, object); err != nil {
			return err
		}
		if err := i.step("next object"); err != nil {
			return err
		}
	}
	if err := i.step("compare"); err != nil {
		return err
	}
	if err := i.compare(ctx, read); err != nil {
		return err
	}
	if record.Revision, err = i.store.revision(ctx); err != nil {
		return err
	}
	if err := i.tell(ctx, read); err != nil {
		return err
	}
	i.say("Imported and compared:\n%s", countsText(read.counts()))
	record.Phase, record.Definitions, record.Counts, record.Digest = Switching, read.definitions, read.counts(), read.digest()
	return i.records.put(ctx, record)
}

// compare fails unless the store has all objects as they were read, and no others, and the hub still has them so.
func (i *Importer) compare(ctx context.Context, read *source) error {
	for _, object := range read.objects {
		if err := i.store.compare(ctx, object); err != nil {
			return err
		}
	}
	counts := read.counts()
	for resource := range resources() {
		stored, err := i.store.count(ctx, resource)
		if err != nil {
			return err
		}
		if stored != counts[resource.String()] {
			return fmt.Errorf("the hub has %d %s and the store %d", counts[resource.String()], resource, stored)
		}
	}
	again, err := i.read(ctx)
	if err != nil {
		return err
	}
	if again.state() != read.state() {
		changed := read.changed(again)
		return fmt.Errorf("%d objects were changed while they were imported, such as %s: stop KubeFleet's agents and whoever else writes, and run the import again",
			len(changed), strings.Join(changed[:min(len(changed), maxNamed)], ", "))
	}
	return nil
}

// complete has the hub pass the API on, from which on nobody reaches the objects of the hub, and lets the server answer.
func (i *Importer) complete(ctx context.Context, record *Record) error {
	if err := i.step("switch"); err != nil {
		return err
	}
	if err := i.hub.passOn(ctx); err != nil {
		return err
	}
	if err := i.hub.awaitPassedOn(ctx); err != nil {
		return err
	}
	if err := i.step("thaw"); err != nil {
		return err
	}
	// The server goes by the policies of the hub, too.
	if err := i.hub.thaw(ctx); err != nil {
		return err
	}
	if err := i.step("complete"); err != nil {
		return err
	}
	record.Phase = Complete
	if err := i.records.put(ctx, record); err != nil {
		return err
	}
	i.say("The import is complete. The hub answers 503 for these objects until the server runs and its APIServices are applied.")
	return nil
}

// Back gives the hub its objects back, as they were when they were imported. It refuses once somebody has written since: that would be lost. Whatever
// ended it, it may be called again, and goes on.
func (i *Importer) Back(ctx context.Context) error {
	record, err := i.records.Get(ctx)
	if err != nil {
		return err
	}
	if record == nil {
		return errors.New("this store has no import that could be taken back")
	}
	hubUID, err := storeid.ClusterUID(ctx, i.hub.kube)
	if err != nil {
		return err
	}
	if record.Hub != types.UID(hubUID) {
		return fmt.Errorf("this store has the objects of the hub with uid %s, and this is the one with uid %s", record.Hub, hubUID)
	}
	if record.Phase == Complete || record.Phase == Switching {
		if err := i.mayReturn(ctx, record); err != nil {
			return err
		}
	}
	if err := i.step("return"); err != nil {
		return err
	}
	if record.Phase != Returning {
		record.Phase = Returning
		if err := i.records.put(ctx, record); err != nil {
			return err
		}
	}
	// From here on no server writes. What one has written in the meantime would be lost.
	if record.Revision > 0 {
		names, _, err := i.store.objects(ctx, clientv3.WithMinModRev(record.Revision+1))
		if err != nil {
			return err
		}
		if len(names) > 0 {
			record.Phase = Complete
			return errors.Join(writtenSince(names), i.records.put(ctx, record))
		}
	}
	if err := i.step("take back"); err != nil {
		return err
	}
	if err := i.hub.takeBack(ctx); err != nil {
		return err
	}
	i.say("The hub answers for its objects itself, once it has seen that.")
	read, err := i.awaitLocal(ctx, record)
	if err != nil {
		return err
	}
	if err := i.step("restore owners"); err != nil {
		return err
	}
	if err := i.restoreOwners(ctx, read.uids().Has); err != nil {
		return err
	}
	if err := i.step("empty"); err != nil {
		return err
	}
	if err := i.store.empty(ctx, record); err != nil {
		return err
	}
	if err := i.hub.thaw(ctx); err != nil {
		return err
	}
	if err := i.step("forget"); err != nil {
		return err
	}
	if err := i.records.remove(ctx, record); err != nil {
		return err
	}
	i.say("The hub has its objects back. Start KubeFleet's agents.")
	return nil
}

// mayReturn refuses where something would be lost.
func (i *Importer) mayReturn(ctx context.Context, record *Record) error {
	if record.Begun != nil {
		return fmt.Errorf("there is no way back: Stagegate's controllers have worked on the objects since %s, and what they did would be lost", record.Begun.UTC().Format(time.RFC3339))
	}
	names, count, err := i.store.objects(ctx, clientv3.WithMinModRev(record.Revision+1))
	if err != nil {
		return err
	}
	total := 0
	for _, n := range record.Counts {
		total += n
	}
	switch {
	case len(names) > 0:
		return writtenSince(names)
	case count != total:
		return fmt.Errorf("there is no way back: %d objects were imported and %d are there, and the deletion of the others would be lost", total, count)
	}
	return nil
}

func writtenSince(names []string) error {
	return fmt.Errorf("there is no way back: objects were written since the import, such as %s, and that would be lost", strings.Join(names, ", "))
}

// awaitLocal returns what the hub has, once it answers for the groups itself and has what was imported.
func (i *Importer) awaitLocal(ctx context.Context, record *Record) (*source, error) {
	var read *source
	var last error
	err := wait.PollUntilContextTimeout(ctx, returnInterval, returnTimeout, true, func(ctx context.Context) (bool, error) {
		if read, last = i.hub.read(ctx, i.options.MaxBytes); last != nil {
			return false, nil
		}
		// Before the switch there is nothing to compare with, and the hub has answered all the time.
		if record.Digest != "" && read.digest() != record.Digest {
			last = errors.New("the hub does not have the objects that were imported from it")
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("the hub does not serve its own objects yet, so that the store keeps them; run the command again: %w", errors.Join(last, err))
	}
	return read, nil
}

func (i *Importer) restoreOwners(ctx context.Context, there func(types.UID) bool) error {
	dependents, err := i.hub.dependents(ctx)
	if err != nil {
		return err
	}
	for _, d := range dependents {
		missing, err := i.hub.restore(ctx, d, there)
		if err != nil {
			return err
		}
		for _, ref := range missing {
			i.say("Note: %s was owned by %s %s (uid %s), which is not there any more, and stays without an owner", d, ref.Kind, ref.Name, ref.UID)
		}
		if err := i.step("next restored owner"); err != nil {
			return err
		}
	}
	return nil
}
