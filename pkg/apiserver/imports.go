// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/importer"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// importRetry is in how many seconds a client may ask again while an import is not complete.
const importRetry = 5

// imports is the import into the store as the server goes by it: while it is not complete, nobody is told what is not there yet, and nobody
// works on what is. Where objects seem to be missing, the hub's garbage collector deletes what they own.
type imports struct {
	storage storagebackend.Config
	// obstacle is why objects are not served, nil where they are.
	obstacle atomic.Pointer[string]
}

// openImports reads how far an import into the store is. It returns nil for a store that was not imported.
func openImports(ctx context.Context, storage storagebackend.Config) (i *imports, record *importer.Record, err error) {
	i = &imports{storage: storage}
	err = i.with(ctx, func(ctx context.Context, records importer.Records) (err error) {
		record, err = records.Get(ctx)
		return err
	})
	if err != nil || record == nil {
		return nil, nil, err
	}
	i.tell(ctx, record)
	return i, record, nil
}

func (i *imports) with(ctx context.Context, do func(context.Context, importer.Records) error) error {
	return withEtcd(ctx, i.storage, func(ctx context.Context, client *clientv3.Client) error {
		return do(ctx, importer.Records{Client: client, Prefix: i.storage.Prefix})
	})
}

func (i *imports) tell(ctx context.Context, record *importer.Record) {
	obstacle := record.Obstacle()
	if record == nil {
		// The import that this server was started on was taken back.
		obstacle = importer.TakenBack
	}
	if obstacle == "" {
		i.obstacle.Store(nil)
		return
	}
	klog.FromContext(ctx).Info("Objects are not served", "reason", obstacle)
	i.obstacle.Store(&obstacle)
}

// follow keeps up with the import until the context ends. Another process carries it out, where the store is one that several can have open.
func (i *imports) follow(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		client, err := newEtcdClient(ctx, i.storage.Transport)
		if err == nil {
			defer func() { _ = client.Close() }()
			err = importer.Records{Client: client, Prefix: i.storage.Prefix}.Follow(ctx, func(record *importer.Record) { i.tell(ctx, record) })
		}
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Cannot see how far the import is, and tries again")
		}
	}, time.Second)
}

// begin is asked by a replica before its controllers start. It ends the way back, and fails where the import is not complete.
func (i *imports) begin(ctx context.Context) error {
	return i.with(ctx, func(ctx context.Context, records importer.Records) error { return records.Begin(ctx, metav1.Now()) })
}

// gate answers 503 for objects while the import is not complete, to all but the server's own caches. It goes where the user is known.
func (i *imports) gate(config *genericapiserver.Config) {
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return build(i.withGate(api, registry.IsController, c.Serializer), c)
	}
}

func (i *imports) withGate(next http.Handler, exempt func(context.Context) bool, serializer runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		obstacle := i.obstacle.Load()
		if obstacle == nil || !strings.HasPrefix(r.URL.Path, "/apis/") || exempt(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		info, ok := genericapirequest.RequestInfoFrom(r.Context())
		if !ok || !info.IsResourceRequest {
			// Discovery tells of kinds, which are there.
			next.ServeHTTP(w, r)
			return
		}
		err := apierrors.NewServiceUnavailable(*obstacle)
		err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: importRetry}
		gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
		responsewriters.ErrorNegotiated(err, serializer, gv, w, r)
	})
}
