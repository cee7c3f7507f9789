// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// record is what is kept in memory of a Work between two passes, so that a pass looks again only at what has changed. Losing it
// costs reads and changes nothing.
type record struct {
	uid        types.UID
	generation int64
	manifests  []*manifest
	// owner is the AppliedWork as last read or written, nil before that.
	owner *v1beta1.AppliedWork
	// results are by ordinal; nil where a manifest has to be looked at.
	results []*result
	// kept are objects that stay on the member although the Work has them no more, since they were there at an adoption.
	kept []v1beta1.AppliedResourceMeta
	// remnants are objects that the Work has no more, and whose deletion is under way.
	remnants []remnant
	// awaited are the AppliedWorks that own the namespaces which were asked whether they take what the Work places.
	awaited sets.Set[string]
	// hasInherited reports whether AppliedWorks without a Work were looked for since the adoption.
	hasInherited bool
}

// recordOf is the record of a Work at its generation; that of an older one is thrown away.
func (a *Applier) recordOf(work *v1beta1.Work) *record {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.records[work.Name]
	if r == nil || r.uid != work.UID || r.generation != work.Generation {
		r = &record{
			uid:        work.UID,
			generation: work.Generation,
			manifests:  decode(work.Spec.Workload.Manifests),
		}
		r.results = make([]*result, len(r.manifests))
		a.records[work.Name] = r
	}
	return r
}

// forget ends the watches that only this Work needed.
func (a *Applier) forget(name string) {
	a.mu.Lock()
	delete(a.records, name)
	a.waiting.Delete(name)
	delete(a.remnants, name)
	a.mu.Unlock()
	a.watches.set(name, nil)
}
