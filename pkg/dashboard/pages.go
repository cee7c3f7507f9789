// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/act"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
)

const (
	// maxOver is how many runs that are over are listed.
	maxOver = 50
	// perPage is how many clusters or members a page has.
	perPage = 100
)

// runRow is a run among others.
type runRow struct {
	*view.Run
	Look look
	Path string
}

func rowOf(v *view.Run) runRow {
	return runRow{v, lookOfRun(v), scopedPath(v.Object.Namespace, "runs", v.Object.Name)}
}

// runGroup is a table of runs.
type runGroup struct {
	Title string
	// Over is set for runs that are over: they wait for nothing.
	Over bool
	Rows []runRow
	// More is how many there are that are not listed.
	More int
}

type runsView struct {
	Groups []runGroup
	Empty  *empty
}

func (s *server) runsPage(*http.Request) *page {
	// What a page says that it does not show, it does not show: this comes before the objects are read.
	notices := s.noticesOf(s.data.runs...)
	var open []*view.Run
	var over []v1beta1.UpdateRunObject
	for _, run := range listOf[v1beta1.UpdateRunObject](s.data.runs...) {
		if runrules.IsOver(run.RunStatus()) {
			over = append(over, run)
		} else {
			open = append(open, view.Build(run, nil, s.Clock.Now()))
		}
	}
	view.SortByUrgency(open)
	// Of hundreds that are over, those alone are looked at that are listed.
	lastFirst(over)
	groups := []runGroup{{Title: "Wait for a person"}, {Title: "Under way"}, {Title: "Over", Over: true}}
	for _, v := range open {
		i := 1
		if v.NeedsPerson {
			i = 0
		}
		groups[i].Rows = append(groups[i].Rows, rowOf(v))
	}
	for _, run := range over[:min(len(over), maxOver)] {
		groups[2].Rows = append(groups[2].Rows, rowOf(view.Build(run, nil, s.Clock.Now())))
	}
	groups[2].More = max(0, len(over)-maxOver)
	data := runsView{Groups: slices.DeleteFunc(groups, func(g runGroup) bool { return len(g.Rows) == 0 })}
	if len(data.Groups) == 0 {
		data.Empty = nothing(s.data.runs, empty{
			Title:   "There are no runs yet.",
			Text:    "A run takes a version of a placement to its clusters, stage by stage. Have one planned, look at it here, and start it.",
			Command: "kubectl stagegate run crp/PLACEMENT --strategy STRATEGY",
		})
	}
	return &page{Title: "Runs", Tab: "Runs", Sections: []section{
		notices,
		{ID: "runs", Template: "runs", Data: data, Announce: fmt.Sprintf("%d runs wait for a person", len(needing(open)))},
	}}
}

// nothing is what a page says that has nothing to show. Who may list none of its kinds is not told that there are none.
func nothing(sources []*source, otherwise empty) *empty {
	if slices.ContainsFunc(sources, func(s *source) bool { return s.failure() == nil }) {
		return &otherwise
	}
	return &empty{Title: "There is nothing here that you may list.", Text: "Ask for the permission, or start the dashboard with -n and a namespace that is yours."}
}

func needing(runs []*view.Run) (found []*view.Run) {
	for _, v := range runs {
		if v.NeedsPerson {
			found = append(found, v)
		}
	}
	return found
}

// lastFirst sorts runs: those first that are not over, then those that have ended last.
func lastFirst(runs []v1beta1.UpdateRunObject) {
	ended := func(run v1beta1.UpdateRunObject) int64 {
		if end := runrules.End(run.RunStatus()); end != nil {
			return end.LastTransitionTime.Unix()
		}
		return math.MaxInt64
	}
	slices.SortStableFunc(runs, func(a, b v1beta1.UpdateRunObject) int {
		return cmp.Or(-cmp.Compare(ended(a), ended(b)), cmp.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName()))
	})
}

func (s *server) noticesOf(sources ...*source) section {
	return section{ID: "notices", Template: "notices", Data: notices(sources...)}
}

// action is something that can be done about an object. One that is not allowed says why.
type action struct {
	Verb, Label, Path string
	// Why it is not allowed; empty if it is.
	Why string
	// Primary is the action that lets things go on.
	Primary bool
}

// stageView is a stage of a run with what is drawn of it.
type stageView struct {
	view.Stage
	Number int
	Look   look
	Strip  template.HTML
	Counts []cellCount
	// Named are all clusters of a stage that has few.
	Named []clusterRow
	// Listed are the clusters that say something, Silent others to look at.
	Listed  []clusterRow
	Silent  []clusterRow
	AllPath string
}

type cellCount struct {
	Class, Word string
	N           int
	Path        string
}

type clusterRow struct {
	view.Cluster
	Look     look
	Troubles []string
}

type runView struct {
	*view.Run
	Look          look
	PlacementPath string
	// RollbackOfPath and RolledBackByPath lead to the run that this one takes back, and to the one that takes this one back.
	RollbackOfPath, RolledBackByPath string
	Counts                           []cellCount
	Actions                          []action
	Asked                            []askedView
}

func (s *server) runPage(r *http.Request) *page {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	notices := s.noticesOf(append(append([]*source{}, s.data.runs...), s.data.requests...)...)
	run, found := getOf[v1beta1.UpdateRunObject](s.data.runs, namespace, name)
	if !found {
		gone := empty{Title: "There is no run " + view.Clean(name) + ".", Text: "It may have been deleted, or you may not read it."}
		return &page{Title: view.Clean(name), Tab: "Runs", Code: http.StatusNotFound, Sections: []section{notices, {ID: "run", Template: "empty", Data: gone}}}
	}
	v := view.Build(run, s.requestsOf(run), s.Clock.Now())
	data := &runView{Run: v, Look: lookOfRun(v), PlacementPath: scopedPath(namespace, "placements", run.RunSpec().PlacementName), Counts: countsOf(v.Progress, held(run), "")}
	data.RollbackOfPath = scopedPath(namespace, "runs", run.RunSpec().RollbackOf)
	if by := run.RunStatus().RolledBackBy; by != nil {
		data.RolledBackByPath = scopedPath(namespace, "runs", by.Name)
	}
	if !v.Over {
		for _, request := range s.requestsOf(run) {
			if act.IsOpen(request) {
				data.Asked = append(data.Asked, s.asked(r, request))
			}
		}
	}
	data.Actions = s.actionsOn(r, run, v)
	p := &page{Title: view.Clean(name), Tab: "Runs", Sections: []section{
		notices,
		{ID: "did", Template: "did", Once: func() any { return did[r.URL.Query().Get("did")] }},
		{ID: "run", Template: "run", Data: data, Announce: v.Object.Name + ": " + words(v.State)},
	}}
	placement, readable := getOf[v1beta1.PlacementObject](s.data.placements, namespace, run.RunSpec().PlacementName)
	largest := 0
	for i := range v.Stages {
		largest = max(largest, v.Stages[i].Progress.Clusters)
	}
	for i := range v.Stages {
		stage := view.StageNamed(run, v.Stages[i].Name)
		if stage == nil {
			continue
		}
		all := scopedPath(namespace, "runs", name, "clusters") + "?stage=" + template.URLQueryEscaper(v.Stages[i].Name)
		cells := view.CellsOf(stage)
		sv := &stageView{
			Stage: v.Stages[i], Number: i + 1, Look: lookOfStage(v.Stages[i].State), AllPath: all,
			Counts: countsOf(v.Stages[i].Progress, heldIn(cells), all),
		}
		if len(stage.Clusters) <= fewClusters {
			named, _ := view.ClustersOf(stage, "", "", 0, fewClusters)
			for _, c := range named {
				sv.Named = append(sv.Named, clusterRow{Cluster: c, Look: lookOfCluster(c.State)})
			}
		} else {
			sv.Strip = strip(cells, columnsFor(largest))
		}
		for _, c := range v.Stages[i].Listed {
			row := clusterRow{Cluster: c, Look: lookOfCluster(c.State)}
			if readable {
				row.Troubles = view.Troubles(placement.PlacementStatus(), c.Name)
			}
			if len(row.Troubles) == 0 && c.Message != "" {
				row.Troubles = []string{c.Message}
			}
			if len(row.Troubles) > 0 || c.State != view.ClusterUpdating {
				sv.Listed = append(sv.Listed, row)
			} else if len(stage.Clusters) > fewClusters {
				sv.Silent = append(sv.Silent, row)
			}
		}
		p.Sections = append(p.Sections, section{ID: "stage-" + strconv.Itoa(i+1), Template: "stage", Data: sv})
	}
	if len(v.History) > 0 {
		history := slices.Clone(v.History)
		slices.Reverse(history)
		p.Sections = append(p.Sections, section{ID: "history", Template: "history", Data: history})
	}
	return p
}

// requestsOf returns the approval requests of a run.
func (s *server) requestsOf(run v1beta1.UpdateRunObject) (found []v1beta1.ApprovalRequestObject) {
	for _, request := range listOf[v1beta1.ApprovalRequestObject](s.data.requests...) {
		if request.GetNamespace() == run.GetNamespace() && request.RequestSpec().TargetUpdateRun == run.GetName() {
			found = append(found, request)
		}
	}
	slices.SortFunc(found, func(a, b v1beta1.ApprovalRequestObject) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return found
}

func held(run v1beta1.UpdateRunObject) (n int) {
	for _, stage := range runrules.Stages(run.RunStatus()) {
		n += heldIn(view.CellsOf(stage))
	}
	return n
}

func heldIn(cells []view.Cells) (n int) {
	for _, c := range cells {
		if c.State == view.ClusterHeld {
			n += c.Count
		}
	}
	return n
}

// countsOf returns the legend of a strip. Each count leads to its clusters.
func countsOf(p view.Progress, held int, path string) (counts []cellCount) {
	by := map[view.ClusterState]int{
		view.ClusterFailed: p.Failed, view.ClusterHeld: held, view.ClusterUpdating: p.Updating, view.ClusterUpdated: p.Updated, view.ClusterSkipped: p.Skipped,
		view.ClusterPending: p.Clusters - p.Failed - held - p.Updating - p.Updated - p.Skipped,
	}
	for _, s := range cellStates {
		if n := by[s.State]; n > 0 {
			c := cellCount{Class: s.Class, Word: s.Word, N: n}
			if path != "" {
				c.Path = path + "&state=" + string(s.State)
			}
			counts = append(counts, c)
		}
	}
	return counts
}

// pager leads to the pages of a long list.
type pager struct {
	From, To, Total int
	Previous, Next  string
}

// pageOf returns the offset of the page that a request asks for, counted from 1.
func pageOf(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || n < 1 || n > 1<<20 {
		return 0
	}
	return (n - 1) * perPage
}

func pagerOf(r *http.Request, offset, shown, total int) pager {
	p := pager{From: offset + 1, To: offset + shown, Total: total}
	link := func(offset int) string {
		query := r.URL.Query()
		query.Set("page", strconv.Itoa(offset/perPage+1))
		return r.URL.Path + "?" + query.Encode()
	}
	if offset > 0 {
		p.Previous = link(offset - perPage)
	}
	if offset+shown < total {
		p.Next = link(offset + perPage)
	}
	return p
}

type clustersView struct {
	Run, RunPath, Stage, State, Text string
	States                           []filter
	Rows                             []clusterRow
	Pager                            pager
}

type filter struct {
	Value, Word string
	Selected    bool
}

func (s *server) clustersPage(r *http.Request) *page {
	namespace, name, query := r.PathValue("namespace"), r.PathValue("name"), r.URL.Query()
	data := clustersView{Run: view.Clean(name), RunPath: scopedPath(namespace, "runs", name), Stage: view.Clean(query.Get("stage")), Text: view.Clean(query.Get("q"))}
	notices := s.noticesOf(s.data.runs...)
	p := &page{Title: "Clusters of " + data.Run, Tab: "Runs"}
	run, found := getOf[v1beta1.UpdateRunObject](s.data.runs, namespace, name)
	var stage *v1beta1.StageUpdatingStatus
	if found {
		stage = view.StageNamed(run, query.Get("stage"))
	}
	if stage == nil {
		p.Code = http.StatusNotFound
		p.Sections = []section{notices, {ID: "clusters", Template: "empty", Data: empty{Title: "There is no such stage.", Text: "The run may have been deleted or recreated."}}}
		return p
	}
	var state view.ClusterState
	data.States = []filter{{Word: "all"}}
	for _, c := range cellStates {
		f := filter{Value: string(c.State), Word: c.Word, Selected: string(c.State) == query.Get("state")}
		if f.Selected {
			state = c.State
		}
		data.States = append(data.States, f)
	}
	offset := pageOf(r)
	clusters, total := view.ClustersOf(stage, state, query.Get("q"), offset, perPage)
	for _, c := range clusters {
		row := clusterRow{Cluster: c, Look: lookOfCluster(c.State)}
		if c.Message != "" {
			row.Troubles = []string{c.Message}
		}
		data.Rows = append(data.Rows, row)
	}
	data.Pager = pagerOf(r, offset, len(data.Rows), total)
	p.Sections = []section{notices, {ID: "filter", Template: "filter", Once: func() any { return data }}, {ID: "clusters", Template: "clusters", Data: data}}
	return p
}

// askedView is an approval request with what the user may do about it.
type askedView struct {
	*view.Approval
	Question []string
	RunPath  string
	Actions  []action
	// Mine reports whether an approval by the user would count.
	Mine bool
}

func (s *server) asked(r *http.Request, request v1beta1.ApprovalRequestObject) askedView {
	v := view.BuildApproval(request)
	namespace, name := request.GetNamespace(), request.GetName()
	asked := askedView{Approval: v, Question: v.Question(), RunPath: scopedPath(namespace, "runs", request.RequestSpec().TargetUpdateRun)}
	why, err := s.access.Counts(r.Context(), s.me, request)
	if err != nil {
		why = "the hub does not say whether you may: " + err.Error()
	}
	asked.Mine = why == ""
	approve := action{Verb: act.Approve.Subresource, Label: "Approve", Path: scopedPath(namespace, "approvals", name, act.Approve.Subresource), Why: view.Clean(why), Primary: true}
	reject := action{Verb: act.Reject.Subresource, Label: "Reject", Path: scopedPath(namespace, "approvals", name, act.Reject.Subresource)}
	reject.Why = s.lacks(r, act.Requests, act.Reject.Subresource, types.NamespacedName{Namespace: namespace, Name: name})
	asked.Actions = s.unlessReadOnly([]action{approve, reject})
	return asked
}

// lacks returns which permission the user lacks, nothing if none.
func (s *server) lacks(r *http.Request, n act.Noun, subresource string, key types.NamespacedName) string {
	allowed, err := s.access.MayAct(r.Context(), n, subresource, key.Namespace, key.Name)
	switch {
	case err != nil:
		return view.Clean("the hub does not say whether you may: " + err.Error())
	case allowed:
		return ""
	}
	return act.Lacks(n, subresource, key.Namespace)
}

func (s *server) unlessReadOnly(actions []action) []action {
	if !s.ReadOnly {
		return actions
	}
	for i := range actions {
		actions[i].Why = "the dashboard was started with --read-only"
	}
	return actions
}

type approvalsView struct {
	Mine, Others []askedView
	Empty        *empty
}

func (s *server) approvalsPage(r *http.Request) *page {
	notices := s.noticesOf(s.data.requests...)
	found := slices.DeleteFunc(listOf[v1beta1.ApprovalRequestObject](s.data.requests...), func(request v1beta1.ApprovalRequestObject) bool { return !act.IsOpen(request) })
	slices.SortStableFunc(found, func(a, b v1beta1.ApprovalRequestObject) int {
		return cmp.Or(a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time), cmp.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName()))
	})
	var data approvalsView
	for _, request := range found {
		if asked := s.asked(r, request); asked.Mine {
			data.Mine = append(data.Mine, asked)
		} else {
			data.Others = append(data.Others, asked)
		}
	}
	if len(found) == 0 {
		data.Empty = nothing(s.data.requests, empty{
			Title: "No approval is asked for.",
			Text:  "When a run comes to a stage that wants an approval, it is here: those first whose approval by you would count.",
		})
	}
	return &page{Title: "Approvals", Tab: "Approvals", Sections: []section{
		notices,
		{ID: "approvals", Template: "approvals", Data: data, Announce: fmt.Sprintf("%d approvals wait for you", len(data.Mine))},
	}}
}
