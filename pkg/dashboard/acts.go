// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/act"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
)

const start = "start"

// runVerbs are what can be asked of a run.
var runVerbs = append([]string{start}, act.Operations...)

// did is what a page says after something was done.
var did = map[string]string{
	start:                   "The run is started.",
	"stop":                  "The run was asked to stop: clusters in flight finish, and no other begins.",
	"resume":                "The run was asked to go on.",
	"retry":                 "The clusters are to be updated again.",
	"skip":                  "The run was asked to go on without them.",
	"rollback":              "The run ends, and another one is made that takes its clusters back.",
	act.Approve.Subresource: "Your approval is recorded.",
	act.Reject.Subresource:  "Your rejection is recorded.",
}

// effects are what the verbs do, in a sentence.
var effects = map[string]string{
	start:      "The run begins with its first stage.",
	"stop":     "Clusters in flight finish, and no other begins. The run can be resumed.",
	"resume":   "The run goes on where it has stopped.",
	"retry":    "Clusters that have failed in the current stage are updated again.",
	"skip":     "The run goes on without these clusters, without the rest of a stage, or past a timed wait. They keep what they have.",
	"rollback": "The run ends, and another one is created that takes its clusters back to what they had.",
}

// hasTo reports whether a run may have come to where something can be asked of it. What its state allows the server decides; this is for not to offer
// what makes no sense.
func hasTo(verb string, run v1beta1.UpdateRunObject, v *view.Run) bool {
	phase := v.Phase()
	switch verb {
	case start:
		return phase == runrules.PhasePlanned
	case "stop":
		return !v.Over && !slices.Contains([]runrules.Phase{runrules.PhaseInitializing, runrules.PhasePlanned, runrules.PhaseStopped, runrules.PhaseStopping}, phase)
	case "resume":
		return phase == runrules.PhaseStopped || phase == runrules.PhaseStopping
	case "retry":
		stage := runrules.CurrentStage(run.RunStatus())
		return !v.Over && stage != nil && len(runrules.FailedClusters(stage)) > 0
	case "skip":
		return !v.Over && runrules.HasStarted(run.RunStatus())
	case "rollback":
		return v.RolledBackBy == "" && runrules.TakesBack(run.RunStatus())
	}
	return false
}

// actionsOn returns what can be asked of a run as it stands.
func (s *server) actionsOn(r *http.Request, run v1beta1.UpdateRunObject, v *view.Run) (actions []action) {
	for _, verb := range runVerbs {
		if !hasTo(verb, run, v) {
			continue
		}
		a := action{Verb: verb, Label: strings.ToUpper(verb[:1]) + verb[1:], Path: scopedPath(run.GetNamespace(), "runs", run.GetName(), verb)}
		if verb == "rollback" {
			a.Label = "Roll back"
		}
		a.Primary = v.NeedsPerson && (verb == start || verb == "resume" || verb == "retry")
		if verb == start {
			a.Why = s.lacksPatch(r, run)
		} else {
			a.Why = s.lacks(r, act.Runs, verb, types.NamespacedName{Namespace: run.GetNamespace(), Name: run.GetName()})
		}
		actions = append(actions, a)
	}
	return s.unlessReadOnly(actions)
}

// lacksPatch returns why the user may not start a run.
func (s *server) lacksPatch(r *http.Request, run v1beta1.UpdateRunObject) string {
	resource := act.Runs.Resource(run.GetNamespace())
	allowed, err := s.access.May(r.Context(), "patch", resource, "", run.GetNamespace(), run.GetName())
	switch {
	case err != nil:
		return view.Clean(err.Error())
	case !allowed:
		return "you lack patch on " + resource
	}
	return ""
}

// asking is a form that asks for the reason, and shows whom an act touches.
type asking struct {
	Title, Effect, Verb, Label string
	// Post is where the form goes, Back where who thinks again goes.
	Post, Back string
	// UID and ResourceVersion are those of the object as it is shown.
	UID, ResourceVersion string
	// Error is why it was not done, Reason what was given before.
	Error, Reason string
	NeedsReason   bool
	Facts         []string
	// Clusters are those that the act can be about; Checked has all of them chosen at first. Chosen are those chosen before.
	Clusters []choice
	// Unlisted is how many more there are, and All reports whether the act can be about those too.
	Unlisted int
	All      bool
	// Touched are clusters that it is about whatever is chosen.
	Touched []string
	Whats   []choice
	Danger  bool
}

type choice struct {
	Value, Word string
	Checked     bool
}

func (s *server) askOperation(verb string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { s.askRun(w, r, verb, nil) }
}

// maxClusters is how many clusters an operation may name.
const maxClusters = 100

// askRun shows the form about a run as it stands. err is why it was not done before.
func (s *server) askRun(w http.ResponseWriter, r *http.Request, verb string, failed error) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	back := scopedPath(namespace, "runs", name)
	run, err := scoped.RunClient(s.Stagegate.PlacementV1beta1(), namespace).Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.failed(w, r, "The run cannot be read.", err)
		return
	}
	v := view.Build(run, nil, s.Clock.Now())
	form := asking{
		Title: strings.ToUpper(verb[:1]) + verb[1:] + " " + wording.Key(v.Object.Namespace, v.Object.Name), Effect: effects[verb], Verb: verb, Post: scopedPath(namespace, "runs", name, verb), Back: back,
		Label: strings.ToUpper(verb[:1]) + verb[1:], UID: string(run.GetUID()), ResourceVersion: run.GetResourceVersion(), NeedsReason: verb != start, Danger: verb == "rollback",
	}
	if verb == "rollback" {
		form.Label, form.Title = "Roll back", "Roll back "+wording.Key(v.Object.Namespace, v.Object.Name)
	}
	what := "It takes snapshot " + v.Snapshot + " of " + wording.Placement(v.Object.Namespace, v.Placement) + " to " + wording.Count(v.Progress.Clusters, "cluster") + "."
	if v.Snapshot == "" {
		what = "It is a run of " + wording.Placement(v.Object.Namespace, v.Placement) + " on " + wording.Count(v.Progress.Clusters, "cluster") + "."
	}
	form.Facts = append(form.Facts, what)
	left := v.Progress.Clusters - v.Progress.Updated - v.Progress.Skipped - v.Progress.Failed - v.Progress.Updating
	switch verb {
	case start, "resume":
		form.Facts = append(form.Facts, fmt.Sprintf("%s still to be updated.", isAre(left)))
		form.Touched = namesIn(run, view.ClusterPending, view.ClusterHeld)
	case "stop":
		form.Facts = append(form.Facts, fmt.Sprintf("%s in flight and will finish. %s still to be updated and will wait.", isAre(v.Progress.Updating), isAre(left)))
		form.Touched = namesIn(run, view.ClusterUpdating)
	case "retry":
		for _, c := range failedIn(run) {
			form.Clusters = append(form.Clusters, choice{Value: view.Clean(c), Word: view.Clean(c), Checked: true})
		}
	case "skip":
		for _, c := range namesIn(run, view.ClusterFailed, view.ClusterHeld, view.ClusterUpdating, view.ClusterPending) {
			form.Clusters = append(form.Clusters, choice{Value: c, Word: c})
		}
		form.Whats = skippable(v, len(form.Clusters) > 0)
	case "rollback":
		n := 0
		for _, stage := range runrules.TakenBack(run.RunStatus()) {
			n += len(stage.Clusters)
			for i := range stage.Clusters {
				form.Touched = append(form.Touched, stage.Clusters[i].ClusterName)
			}
		}
		form.Facts = append(form.Facts, wording.Count(n, "cluster")+" will be taken back to the version that they had before.")
	}
	form.Unlisted, form.All = max(0, len(form.Clusters)-maxClusters), verb == "retry"
	form.Clusters = form.Clusters[:min(len(form.Clusters), maxClusters)]
	s.ask(w, r, form, failed)
}

func isAre(n int) string {
	if n == 1 {
		return "1 cluster is"
	}
	return wording.Count(n, "cluster") + " are"
}

func namesIn(run v1beta1.UpdateRunObject, states ...view.ClusterState) (names []string) {
	for _, stage := range runrules.Stages(run.RunStatus()) {
		for _, state := range states {
			clusters, _ := view.ClustersOf(stage, state, "", 0, len(stage.Clusters))
			for i := range clusters {
				names = append(names, clusters[i].Name)
			}
		}
	}
	return names
}

func failedIn(run v1beta1.UpdateRunObject) []string {
	stage := runrules.CurrentStage(run.RunStatus())
	if stage == nil {
		return nil
	}
	return runrules.Names(runrules.FailedClusters(stage))
}

// skippable returns what of a run can be skipped beside clusters: the rest of a stage, or a timed wait.
func skippable(v *view.Run, clusters bool) (whats []choice) {
	if clusters {
		whats = append(whats, choice{Value: "clusters", Word: "The clusters that are chosen below", Checked: true})
	}
	for i := range v.Stages {
		stage := &v.Stages[i]
		if stage.End != nil || stage.State == view.StageSkipped || stage.State == view.StageSucceeded {
			continue
		}
		for _, t := range stage.Tasks {
			if t.Type == v1beta1.StageTaskTypeTimedWait && t.Open {
				whats = append(whats, choice{Value: "wait:" + stage.Name, Word: "The timed wait after stage " + stage.Name})
			}
		}
		whats = append(whats, choice{Value: "stage:" + stage.Name, Word: fmt.Sprintf("The rest of stage %s: %s not updated yet", stage.Name, isAre(stage.Progress.Clusters-stage.Progress.Updated-stage.Progress.Skipped))})
	}
	return whats
}

// maxTouched is how many clusters a form lists.
const maxTouched = view.MaxListed

// ask shows a form, with what was filled in before where it was not done.
func (s *server) ask(w http.ResponseWriter, r *http.Request, form asking, failed error) {
	code := http.StatusOK
	if failed != nil {
		code = http.StatusConflict
		var status apierrors.APIStatus
		if errors.As(failed, &status) && status.Status().Code != 0 {
			code = int(status.Status().Code)
		}
		var stale *act.StaleError
		switch {
		case errors.As(failed, &stale):
			form.Error = "It has changed since you looked, and nothing was done. This is how it stands now."
		case errors.Is(failed, errIncomplete):
			code, form.Error = http.StatusUnprocessableEntity, sentence(failed)
		default:
			form.Error = "The hub refuses it, and nothing was done. " + sentence(failed)
		}
		form.Reason = view.Clean(r.PostForm.Get("reason"))
		for i := range form.Clusters {
			form.Clusters[i].Checked = slices.Contains(r.PostForm["cluster"], form.Clusters[i].Value)
		}
		if what := r.PostForm.Get("what"); what != "" {
			for i := range form.Whats {
				form.Whats[i].Checked = form.Whats[i].Value == what
			}
		}
	}
	if more := len(form.Touched) - maxTouched; more > 0 {
		form.Touched = append(slices.Clone(form.Touched[:maxTouched]), fmt.Sprintf("and %d more", more))
	}
	for i := range form.Touched {
		form.Touched[i] = view.Clean(form.Touched[i])
	}
	s.show(w, &page{Title: form.Title, Code: code, Still: true, Sections: []section{{ID: "act", Template: "act", Data: form}}})
}

func sentence(err error) string {
	text := view.Clean(err.Error())
	return strings.ToUpper(text[:1]) + text[1:]
}

// failed shows an error of the hub as a page.
func (s *server) failed(w http.ResponseWriter, r *http.Request, title string, err error) {
	code := http.StatusBadGateway
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code != 0 {
		code = int(status.Status().Code)
	}
	s.refuse(w, r, code, title, view.Clean(err.Error()))
}

var errIncomplete = errors.New("the form is not complete")

func incomplete(text string) error { return fmt.Errorf("%s: %w", text, errIncomplete) }

// seen returns the object that the form was about.
func seen(r *http.Request) (act.Seen, error) {
	if err := r.ParseForm(); err != nil {
		return act.Seen{}, incomplete("it is too large or no form")
	}
	s := act.Seen{
		NamespacedName: types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")},
		UID:            types.UID(r.PostForm.Get("uid")), ResourceVersion: r.PostForm.Get("resourceVersion"),
	}
	if s.UID == "" || s.ResourceVersion == "" {
		return s, incomplete("it does not tell which object was shown")
	}
	return s, nil
}

// reasonOf returns the reason in a form. A person who operates a run says why.
func reasonOf(r *http.Request) (string, error) {
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	if reason == "" {
		return "", incomplete("a reason is required, since it is recorded with your name")
	}
	return reason, nil
}

func (s *server) doOperation(verb string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.operate(r, verb); err != nil {
			s.askRun(w, r, verb, err)
			return
		}
		http.Redirect(w, r, scopedPath(r.PathValue("namespace"), "runs", r.PathValue("name"))+"?did="+verb, http.StatusSeeOther)
	}
}

func (s *server) operate(r *http.Request, verb string) error {
	run, err := seen(r)
	if err != nil {
		return err
	}
	if verb == start {
		return s.start(r.Context(), run)
	}
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	spec := v1beta1.UpdateRunOperationSpec{Reason: reason}
	clusters := r.PostForm["cluster"]
	switch verb {
	case "stop", "rollback":
		// Whatever the run has done meanwhile, it is to be stopped: a run that moves changes more often than anybody can look at it.
		run.ResourceVersion = ""
	case "retry":
		if len(clusters) == 0 && r.PostForm.Get("all") == "" {
			return incomplete("choose the clusters to update again")
		}
		if r.PostForm.Get("all") == "" {
			spec.Clusters = clusters
		}
	case "skip":
		kind, stage, _ := strings.Cut(r.PostForm.Get("what"), ":")
		switch kind {
		case "stage":
			spec.Stage = stage
		case "wait":
			spec.Stage, spec.Task = stage, v1beta1.StageTaskTypeTimedWait
		default:
			if spec.Clusters = clusters; len(clusters) == 0 {
				return incomplete("choose the clusters to go on without")
			}
		}
	}
	return act.Operate(r.Context(), s.Stagegate.PlacementV1beta1(), verb, run, spec, false)
}

func (s *server) start(ctx context.Context, seen act.Seen) error {
	run, err := scoped.RunClient(s.Stagegate.PlacementV1beta1(), seen.Namespace).Get(ctx, seen.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := act.Startable(run); err != nil {
		return err
	}
	return act.Start(ctx, s.Stagegate.PlacementV1beta1(), seen)
}

func (s *server) askDecision(decision act.Decision) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { s.askRequest(w, r, decision, nil) }
}

func (s *server) askRequest(w http.ResponseWriter, r *http.Request, decision act.Decision, failed error) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	request, err := scoped.ApprovalClient(s.Stagegate.PlacementV1beta1(), namespace).Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.failed(w, r, "The approval request cannot be read.", err)
		return
	}
	v := view.BuildApproval(request)
	if v.Decision != "" {
		by := v.Decisions[len(v.Decisions)-1]
		s.refuse(w, r, http.StatusConflict, "There is nothing to decide.", fmt.Sprintf("%s was %s by %s.", v.Object.Name, strings.ToLower(string(v.Decision)), by.User))
		return
	}
	label := strings.ToUpper(decision.Subresource[:1]) + decision.Subresource[1:]
	s.ask(w, r, asking{
		Title: label + " " + v.Object.Name, Effect: "This " + decision.Effect + ".", Verb: decision.Subresource, Label: label, NeedsReason: true,
		Post: scopedPath(namespace, "approvals", name, decision.Subresource), Back: "/approvals", Danger: decision == act.Reject,
		UID: string(v.Object.UID), ResourceVersion: v.ResourceVersion, Facts: v.Question(),
	}, failed)
}

func (s *server) doDecision(decision act.Decision) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := seen(r)
		var reason string
		if err == nil {
			reason, err = reasonOf(r)
		}
		if err == nil {
			_, err = act.Decide(r.Context(), s.Stagegate.PlacementV1beta1(), decision, request, reason)
		}
		if err != nil {
			s.askRequest(w, r, decision, err)
			return
		}
		target := "/approvals"
		if of, found := getOf[v1beta1.ApprovalRequestObject](s.data.requests, request.Namespace, request.Name); found {
			target = scopedPath(request.Namespace, "runs", of.RequestSpec().TargetUpdateRun) + "?did=" + decision.Subresource
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
	}
}
