// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/act"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
)

type memberRow struct {
	Name    string
	Look    look
	Message string
	Created metav1.Time
	Pulled  bool
	Leaving bool
	Labels  []string
}

type membersView struct {
	Total, Well, Unwell int
	Text                string
	Rows                []memberRow
	Pager               pager
	Empty               *empty
}

func (s *server) membersPage(r *http.Request) *page {
	notices := s.noticesOf(s.data.members)
	members := listOf[*clusterv1beta1.MemberCluster](s.data.members)
	text := r.URL.Query().Get("q")
	data := membersView{Text: view.Clean(text)}
	var rows []memberRow
	for _, m := range members {
		row := memberOf(m)
		data.Total++
		if row.Look.Tone == "done" {
			data.Well++
		} else {
			data.Unwell++
		}
		if strings.Contains(m.Name, text) || slices.ContainsFunc(row.Labels, func(l string) bool { return strings.Contains(l, text) }) {
			rows = append(rows, row)
		}
	}
	// Those come first that somebody has to look after.
	slices.SortFunc(rows, func(a, b memberRow) int {
		rank := func(m memberRow) int {
			if m.Look.Tone == "done" {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	offset := min(pageOf(r), len(rows)/perPage*perPage)
	data.Rows = rows[min(offset, len(rows)):min(offset+perPage, len(rows))]
	data.Pager = pagerOf(r, offset, len(data.Rows), len(rows))
	if data.Total == 0 && !s.data.members.forbidden() {
		data.Empty = &empty{Title: "The fleet has no members yet.", Text: "A member is a cluster that placements place on.", Command: "kubectl stagegate join NAME --member-context=CONTEXT"}
	}
	return &page{Title: "Members", Tab: "Members", Sections: []section{
		notices,
		{ID: "filter", Template: "memberfilter", Once: func() any { return data }},
		{ID: "members", Template: "members", Data: data},
	}}
}

func memberOf(m *clusterv1beta1.MemberCluster) memberRow {
	row := memberRow{
		Name: view.Clean(m.Name), Created: m.CreationTimestamp, Pulled: wellknown.IsPulled(m.Annotations), Leaving: m.DeletionTimestamp != nil,
		Look: look{"done", "check", "Healthy"},
	}
	for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
		row.Labels = append(row.Labels, view.Clean(key+"="+m.Labels[key]))
	}
	joined := meta.FindStatusCondition(m.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterJoined)
	healthy := meta.FindStatusCondition(m.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterHealthy)
	switch {
	case row.Leaving:
		row.Look = look{"idle", "dash", "Leaving"}
	case joined == nil || joined.Status != metav1.ConditionTrue:
		row.Look = look{"idle", "ring", "Not joined"}
		if joined != nil {
			row.Message = view.Clean(joined.Message)
		}
	case healthy == nil || healthy.Status != metav1.ConditionTrue:
		row.Look = look{"failed", "cross", "Not healthy"}
		if healthy != nil {
			row.Message = view.Clean(healthy.Message)
		}
	}
	return row
}

type placementRow struct {
	Namespace, Name, Path, Strategy, Version string
	Clusters                                 int
	Look                                     look
	Message                                  string
	Created                                  metav1.Time
}

type placementsView struct {
	Rows  []placementRow
	Empty *empty
}

func (s *server) placementsPage(*http.Request) *page {
	notices := s.noticesOf(s.data.placements...)
	var data placementsView
	for _, p := range listOf[v1beta1.PlacementObject](s.data.placements...) {
		data.Rows = append(data.Rows, placementOf(p))
	}
	slices.SortFunc(data.Rows, func(a, b placementRow) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	if len(data.Rows) == 0 {
		data.Empty = nothing(s.data.placements, empty{
			Title: "There are no placements yet.", Text: "A placement selects resources of the hub, and the clusters that they go to.",
			Command: "kubectl apply -f placement.yaml",
		})
	}
	return &page{Title: "Placements", Tab: "Placements", Sections: []section{
		notices, {ID: "placements", Template: "placements", Data: data},
	}}
}

func placementOf(p v1beta1.PlacementObject) placementRow {
	spec, status := p.PlacementSpec(), p.PlacementStatus()
	row := placementRow{
		Namespace: view.Clean(p.GetNamespace()), Name: view.Clean(p.GetName()), Path: scopedPath(p.GetNamespace(), "placements", p.GetName()),
		Strategy: view.Clean(cmp.Or(string(spec.Strategy.Type), string(v1beta1.RollingUpdateRolloutStrategyType))), Version: view.Clean(status.ObservedResourceIndex),
		Created: p.GetCreationTimestamp(), Look: look{"done", "check", "Available"}, Clusters: bindingrules.Clusters(status),
	}
	// The first condition that does not hold is what it has come to.
	for _, t := range []string{v1beta1.PlacementScheduled, v1beta1.PlacementRolloutStarted, v1beta1.PlacementApplied, v1beta1.PlacementAvailable} {
		c := meta.FindStatusCondition(status.Conditions, v1beta1.PlacementConditionType(p.GetNamespace(), t))
		switch {
		case c == nil || c.Status == metav1.ConditionUnknown:
			row.Look = look{"idle", "clock", "Waits"}
			if runrules.IsExternal(spec) {
				row.Look.Word = "Moved by runs"
			}
		case c.Status == metav1.ConditionFalse:
			row.Look = look{"failed", "cross", "Not " + strings.ToLower(words(t))}
		default:
			continue
		}
		if c != nil {
			row.Message = view.Clean(c.Message)
		}
		break
	}
	if p.GetDeletionTimestamp() != nil {
		row.Look = look{"idle", "dash", "Being deleted"}
	}
	return row
}

type versionRow struct {
	Index    string
	Created  metav1.Time
	Latest   bool
	Clusters int
}

type placementView struct {
	placementRow
	Group runGroup
}

type versionsView struct {
	Path string
	// Listed and Clusters are how many clusters the placement's status lists, and how many there are, if it does not list all.
	Listed, Clusters int
	Error            string
	Versions         []versionRow
	// From and To are compared, if they are set.
	From, To    string
	Compared    bool
	Differences []view.Difference
	DiffError   string
}

func (s *server) placementPage(r *http.Request) *page {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	notices := s.noticesOf(s.data.placements...)
	placement, found := getOf[v1beta1.PlacementObject](s.data.placements, namespace, name)
	if !found {
		gone := empty{Title: "There is no placement " + view.Clean(name) + ".", Text: "It may have been deleted, or you may not read it."}
		return &page{Title: view.Clean(name), Tab: "Placements", Code: http.StatusNotFound, Sections: []section{notices, {ID: "placement", Template: "empty", Data: gone}}}
	}
	data := placementView{placementRow: placementOf(placement)}
	runs := slices.DeleteFunc(listOf[v1beta1.UpdateRunObject](s.data.runs...), func(run v1beta1.UpdateRunObject) bool {
		return run.GetNamespace() != namespace || run.RunSpec().PlacementName != name
	})
	lastFirst(runs)
	for _, run := range runs[:min(len(runs), maxOver)] {
		data.Group.Rows = append(data.Group.Rows, rowOf(view.Build(run, nil, s.Clock.Now())))
	}
	return &page{Title: view.Clean(name), Tab: "Placements", Sections: []section{
		notices,
		{ID: "placement", Template: "placement", Data: data},
		{ID: "versions", Template: "versions", Once: func() any { return s.versions(r, placement) }},
		{ID: "placement-runs", Template: "placementruns", Data: data},
	}}
}

// versions reads which resource snapshots there are, and compares two if the request asks for that.
func (s *server) versions(r *http.Request, placement v1beta1.PlacementObject) versionsView {
	namespace, name := placement.GetNamespace(), placement.GetName()
	data := versionsView{Path: scopedPath(namespace, "placements", name), From: r.URL.Query().Get("from"), To: r.URL.Query().Get("to")}
	if status := placement.PlacementStatus(); !bindingrules.ListsAll(status) {
		data.Clusters = bindingrules.Clusters(status)
	}
	on := map[string]int{}
	for i := range placement.PlacementStatus().PerClusterPlacementStatuses {
		if of := &placement.PlacementStatus().PerClusterPlacementStatuses[i]; of.ClusterName != "" {
			on[of.ObservedResourceIndex]++
			data.Listed++
		}
	}
	metadata, err := s.snapshotNames(r.Context(), namespace, name)
	if err != nil {
		data.Error = view.Clean(err.Error())
		return data
	}
	for i := range metadata {
		m := &metadata[i]
		index := m.Labels[wellknown.ResourceIndexLabel]
		if index == "" || m.Annotations[wellknown.SubindexAnnotation] != "" {
			continue
		}
		data.Versions = append(data.Versions, versionRow{Index: view.Clean(index), Created: m.CreationTimestamp, Latest: m.Labels[wellknown.LatestSnapshotLabel] == "true", Clusters: on[index]})
	}
	slices.SortFunc(data.Versions, func(a, b versionRow) int {
		number := func(v versionRow) int {
			n, err := strconv.Atoi(v.Index)
			if err != nil {
				return -1
			}
			return n
		}
		return cmp.Compare(number(b), number(a))
	})
	if data.From == "" || data.To == "" {
		if n := len(data.Versions); n > 1 {
			data.From, data.To = data.Versions[1].Index, data.Versions[0].Index
		}
		return data
	}
	data.Compared = true
	snapshots, err := scoped.SnapshotClient(s.Stagegate.PlacementV1beta1(), namespace).
		List(r.Context(), metav1.ListOptions{LabelSelector: wellknown.ParentPlacementLabel + "=" + name})
	if err == nil {
		data.Differences, err = view.DifferencesOf(snapshots, data.From, data.To)
	}
	if err != nil {
		data.DiffError = view.Clean(err.Error())
	}
	data.From, data.To = view.Clean(data.From), view.Clean(data.To)
	return data
}

// snapshotNames reads the metadata of the resource snapshots of a placement, and not what is in them.
func (s *server) snapshotNames(ctx context.Context, namespace, placement string) ([]metav1.PartialObjectMetadata, error) {
	resource := "clusterresourcesnapshots"
	if namespace != "" {
		resource = "resourcesnapshots"
	}
	list := &metav1.PartialObjectMetadataList{}
	err := s.Stagegate.PlacementV1beta1().RESTClient().Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource).
		Param("labelSelector", wellknown.ParentPlacementLabel+"="+placement).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").Do(ctx).Into(list)
	if err != nil {
		return nil, fmt.Errorf("reading the versions of %s: %w", act.Placements.Short(namespace)+"/"+placement, err)
	}
	return list.Items, nil
}
