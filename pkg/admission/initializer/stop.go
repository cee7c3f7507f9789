// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package initializer

import (
	"context"

	"k8s.io/client-go/tools/cache"
)

// QuietStop has informers that do not run yet say nothing of a watch that ends because they are stopped. They are stopped last of all,
// since requests are admitted until then, when the server they watch has already ended their watches and takes no new ones.
func QuietStop(informers ...cache.SharedIndexInformer) {
	for _, informer := range informers {
		// Only an informer that runs refuses.
		_ = informer.SetWatchErrorHandlerWithContext(watchFailed)
	}
}

func watchFailed(ctx context.Context, r *cache.Reflector, err error) {
	if ctx.Err() == nil {
		cache.DefaultWatchErrorHandler(ctx, r, err)
	}
}
