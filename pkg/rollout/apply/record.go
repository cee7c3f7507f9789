// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"slices"

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
	// results are by ordinal; nil where a manifest must be looked at.
	results []*result
	// kept are objects that stay on the member although the Work has them no more, since they were there at an adoption. Nobody has looked for them before
	// looked.
	kept   []v1beta1.AppliedResourceMeta
	looked bool
	// remnants are objects that the Work has no more, and whose deletion is under way.
	remnants []remnant
	// left are objects on the member that the Work placed there before and does not hold any more. They are all of them once isLeftKnown.
	left        []v1beta1.AppliedResourceMeta
	isLeftKnown bool
	// awaited are the AppliedWorks that own the namespaces which were asked whether they take what the Work places.
	awaited sets.Set[string]
	// own are the writes of the status by this applier.
	own ownWrites
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
	delete(a.restoring, name)
	a.mu.Unlock()
	a.watches.set(name, nil)
}

// ownWrites tells the changes of a Work that this applier has made from those of others. A change may be seen before the write of it
// returns: what is seen meanwhile is told apart afterwards. A consistency.Store does not answer that: it knows whether a cache is as new
// as a write, and not whose each change is.
type ownWrites struct {
	writing bool
	// during are the versions that were seen while a write was under way.
	during []string
	// versions are those that were written and are not seen yet.
	versions []string
}

// maxOwnWrites is how many writes are remembered. A watch that starts again does not show each of them.
const maxOwnWrites = 8

func (w *ownWrites) begin() { w.writing = true }

// end takes the version that was written, empty for none, and reports whether another one was seen meanwhile.
func (w *ownWrites) end(version string) (others bool) {
	seen := false
	for _, v := range w.during {
		seen = seen || v == version
		others = others || v != version
	}
	w.writing, w.during = false, nil
	if version != "" && !seen {
		w.versions = append(w.versions[max(0, len(w.versions)+1-maxOwnWrites):], version)
	}
	return others
}

// sees takes a version that a watch shows, and reports whether nothing follows from it.
func (w *ownWrites) sees(version string) bool {
	if w.writing {
		w.during = append(w.during, version)
		return true
	}
	i := slices.Index(w.versions, version)
	if i >= 0 {
		w.versions = slices.Delete(w.versions, i, i+1)
	}
	return i >= 0
}
