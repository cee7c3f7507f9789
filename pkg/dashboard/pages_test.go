// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/view"
)

// attack is what somebody writes who wants a script to run, a terminal to obey, or a text to be read backwards.
const attack = `<script>alert(1)</script><img src=x onerror=alert(1)>"'><svg onload=alert(1)>` + "\x1b[31m\u202e"

// TestNothingThatOthersWriteIsObeyed has an attack in every field that a user or a member can write.
func TestNothingThatOthersWriteIsObeyed(t *testing.T) {
	hub := newFakeHub(t)
	run := waitingRun("", "attacked")
	run.RunSpec().PlacementName, run.RunSpec().StagedUpdateStrategyName = attack, attack
	status := run.RunStatus()
	status.CreatedBy.Username, status.ResourceSnapshotIndexUsed = attack, attack
	status.Policies = []v1beta1.GoverningPolicy{{Kind: "ClusterRolloutPolicy", Name: attack, Stages: []string{attack}}}
	status.RolledBackBy = &v1beta1.UpdateRunReference{Name: attack}
	status.History = []v1beta1.UpdateRunHistoryEntry{{Number: 1, Time: before(time.Minute), Reason: attack, User: attack, Stage: attack, Message: attack}}
	for i := range status.Conditions {
		status.Conditions[i].Message = attack
	}
	for i := range status.StagesStatus {
		status.StagesStatus[i].StageName = fmt.Sprint(i) + attack
		for j := range status.StagesStatus[i].Clusters {
			c := &status.StagesStatus[i].Clusters[j]
			c.ClusterName, c.Message = attack+c.ClusterName, attack
		}
	}
	failed := sampleCluster(attack+"failed", "failed", attack, time.Minute)
	status.StagesStatus[1].Clusters = append(status.StagesStatus[1].Clusters, failed)
	hub.put("clusterstagedupdateruns", run)
	ended := over(waitingRun("", "attacked-before"), metav1.ConditionFalse, v1beta1.UpdateRunOutcome(attack), attack, time.Minute)
	ended.RunSpec().RollbackOf = attack
	hub.put("clusterstagedupdateruns", ended)
	request := sampleRequest("", "attacked", attack)
	request.RequestSpec().TargetStage, request.RequestSpec().Requester.Username = attack, attack
	request.RequestSpec().Rollout.PlacementName, request.RequestSpec().Rollout.ResourceSnapshotIndex = attack, attack
	request.RequestSpec().Policy = &v1beta1.ApprovalPolicy{Required: 3, Groups: []string{attack}}
	request.RequestStatus().Decisions = []v1beta1.ApprovalDecision{{
		Decision: v1beta1.DecisionApproved, User: v1beta1.DecisionUser{Username: attack}, Time: before(time.Minute), Comment: attack, RequestUID: request.GetUID(),
	}}
	hub.put("clusterapprovalrequests", request)
	member := sampleMember("attacked", attack, false)
	member.Labels[attack], member.Annotations = attack, map[string]string{attack: attack}
	member.Status.Conditions[1].Message = attack
	hub.put("memberclusters", member)
	placement := samplePlacement("attacked", attack)
	placement.Status.ObservedResourceIndex, placement.Spec.Strategy.Type = attack, v1beta1.RolloutStrategyType(attack)
	placement.Status.Conditions[0].Message, placement.Status.Conditions[0].Status = attack, metav1.ConditionFalse
	hub.put("clusterresourceplacements", placement)
	object := func(value string) string {
		data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": attack, "metadata": map[string]any{"name": attack}, "data": map[string]any{attack: value}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	hub.put("clusterresourcesnapshots", sampleSnapshot("attacked", "1", false, time.Hour, object(attack)))
	hub.put("clusterresourcesnapshots", sampleSnapshot("attacked", "2", true, time.Hour, object(attack+"2")))
	o := open(t, hub, func(o *Options) { o.Hub = attack }).enter()
	hub.refuse = &metav1.Status{Code: http.StatusConflict, Reason: metav1.StatusReasonConflict, Message: attack}

	stage := url.QueryEscape(view.Clean("1" + attack))
	pages := map[string]string{}
	for _, path := range []string{
		"/", "/approvals", "/members", "/members?q=" + url.QueryEscape(attack), "/placements", "/placements/attacked", "/placements/attacked?from=1&to=2",
		"/placements/attacked?from=" + url.QueryEscape(attack) + "&to=2", "/runs/attacked", "/runs/attacked-before", "/runs/attacked/skip", "/runs/attacked/retry",
		"/runs/attacked/stop", "/runs/attacked/rollback", "/runs/attacked/clusters?stage=" + stage, "/runs/attacked/clusters?stage=" + stage + "&q=" + url.QueryEscape(attack),
		"/approvals/attacked-before-canary/approve",
	} {
		pages[path] = o.get(path)
	}
	for _, path := range []string{"/runs/" + url.PathEscape(attack), "/placements/" + url.PathEscape(attack), "/" + url.PathEscape(attack)} {
		_, pages[path] = o.do(o.request(http.MethodGet, path, nil))
	}
	_, pages["a refusal"] = o.do(o.request(http.MethodPost, "/runs/attacked/stop", url.Values{"reason": {attack}, "uid": {attack}, "resourceVersion": {attack}, "cluster": {attack}}))
	shown := 0
	for path, page := range pages {
		shown += strings.Count(page, "&lt;script&gt;")
		for _, sign := range []string{"<script>", "<img src=x", "<svg onload", "\x1b", "\u202e", `"'>`} {
			if at := strings.Index(page, sign); at >= 0 {
				t.Errorf("%s has %q: %s", path, sign, page[max(0, at-100):min(len(page), at+100)])
			}
		}
	}
	if shown < 100 {
		t.Errorf("the attack is shown %d times: it is not in the pages that it should be in", shown)
	}
}

func TestAPlacementThatDoesNotListAllOfItsClustersSaysSo(t *testing.T) {
	hub := newFakeHub(t)
	placement := samplePlacement("large", "a", "b")
	placement.Status.SelectedClusters = 5000
	hub.put("clusterresourceplacements", placement)
	hub.put("clusterresourcesnapshots", sampleSnapshot("large", "3", true, time.Hour))
	page := open(t, hub).enter().get("/placements/large")
	for _, want := range []string{"On 5000 clusters", "Clusters are counted of the 2 that the placement&#39;s status lists, of 5,000."} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, "&#39;", "'")) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestValuesOfSecretsAreNotShown(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	o := open(t, hub).enter()
	page := o.get("/placements/checkout?from=3&to=4")
	for _, want := range []string{"Secret shop/token", "(redacted for security reasons)", "/data/color", "<del>blue</del>", "<ins>green</ins>", "Service shop/legacy", "Deployment shop/checkout"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	for _, secret := range []string{"b2xkLXZhbHVl", "bmV3LXZhbHVl", "old-value", "new-value"} {
		if strings.Contains(page, secret) {
			t.Errorf("the page has %s", secret)
		}
	}
	if page := o.get("/placements/checkout?from=3&to=9"); !strings.Contains(page, "there is no resource snapshot 9: there are 3, 4") {
		t.Errorf("a version that is not there is answered with\n%s", page)
	}
}

func TestWhatTheUserMayNotListIsSaid(t *testing.T) {
	hub := newFakeHub(t)
	hub.put("stagedupdateruns", waitingRun("team", "first"))
	hub.put("clusterstagedupdateruns", waitingRun("", "of-the-platform"))
	for _, path := range []string{"clusterstagedupdateruns", "clusterapprovalrequests", "clusterresourceplacements", "memberclusters"} {
		hub.forbidden[path] = true
	}
	o := open(t, hub, func(o *Options) { o.Namespace = "team" }).enter()
	runs := o.get("/")
	for _, want := range []string{"You may not list ClusterStagedUpdateRuns.", `href="/namespaces/team/runs/first"`} {
		if !strings.Contains(runs, want) {
			t.Errorf("the runs lack %s:\n%s", want, runs)
		}
	}
	if strings.Contains(runs, "of-the-platform") {
		t.Error("a run is shown that the user may not list")
	}
	for path, want := range map[string]string{
		"/members": "You may not list MemberClusters.", "/approvals": "You may not list ClusterApprovalRequests.", "/placements": "You may not list ClusterResourcePlacements.",
	} {
		if page := o.get(path); !strings.Contains(page, want) {
			t.Errorf("%s lacks %s:\n%s", path, want, page)
		}
	}
	o.get("/namespaces/team/runs/first")

	hub.forbidden["stagedupdateruns"] = true
	everywhere := open(t, hub).enter()
	if page := everywhere.get("/"); !strings.Contains(page, "There is nothing here that you may list.") {
		t.Errorf("who may list nothing is told\n%s", page)
	}
	if page := everywhere.get("/"); !strings.Contains(page, "You may not list StagedUpdateRuns in all namespaces: start the dashboard with -n NAMESPACE") {
		t.Errorf("the runs of all namespaces are\n%s", page)
	}
}

func TestWhatTheUserMayNotDoIsOff(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	hub.denied = map[string]bool{"approve": true, "stop": true}
	o := open(t, hub).enter()
	page := o.get("/runs/checkout-12")
	for _, want := range []string{
		"Approve is off: you lack create and update on clusterapprovalrequests/approve.", "Stop is off: you lack create and update on clusterstagedupdateruns/stop.",
		`aria-disabled="true" title="you lack create and update on clusterstagedupdateruns/stop"`, `href="/runs/checkout-12/rollback"`, "checkout-12-before-canary/reject",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	if strings.Contains(page, `href="/runs/checkout-12/stop"`) {
		t.Error("stop is offered")
	}
	if approvals := o.get("/approvals"); !strings.Contains(approvals, "Nothing waits for you") || !strings.Contains(approvals, "Wait for others") {
		t.Errorf("the approvals are\n%s", approvals)
	}
}

// hidden returns a hidden field of a form.
func hidden(t *testing.T, page, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("the page has no field %s:\n%s", name, page)
	}
	return found[1]
}

// TestActsNameWhatWasOnScreen has somebody look at a form, and the object change before they send it.
func TestActsNameWhatWasOnScreen(t *testing.T) {
	const run, request = "/apis/placement.kubernetes-fleet.io/v1beta1/clusterstagedupdateruns/r", "/apis/placement.kubernetes-fleet.io/v1beta1/clusterapprovalrequests/r-before-canary"
	for name, tc := range map[string]struct {
		path string
		form url.Values
		want acted
		// whatever is set for what is meant whatever has become of the run.
		whatever bool
	}{
		"approve": {"/approvals/r-before-canary/approve", url.Values{"reason": {" CHG-1 "}}, acted{request + "/approve", map[string]any{"spec": map[string]any{"comment": "CHG-1"}}}, false},
		"reject":  {"/approvals/r-before-canary/reject", url.Values{"reason": {"no"}}, acted{request + "/reject", map[string]any{"spec": map[string]any{"comment": "no"}}}, false},
		"start":   {"/runs/r/start", url.Values{}, acted{run, map[string]any{"spec": map[string]any{"state": "Run"}}}, false},
		"resume":  {"/runs/r/resume", url.Values{"reason": {"x"}}, acted{run + "/resume", map[string]any{"spec": map[string]any{"reason": "x"}}}, false},
		"stop":    {"/runs/r/stop", url.Values{"reason": {"x"}}, acted{run + "/stop", map[string]any{"spec": map[string]any{"reason": "x"}}}, true},
		"rollback": {
			"/runs/r/rollback", url.Values{"reason": {"x"}}, acted{run + "/rollback", map[string]any{"spec": map[string]any{"reason": "x"}}}, true,
		},
		"retry": {
			"/runs/r/retry", url.Values{"reason": {"x"}, "cluster": {"oslo", "paris"}},
			acted{run + "/retry", map[string]any{"spec": map[string]any{"reason": "x", "clusters": []any{"oslo", "paris"}}}}, false,
		},
		"retry all": {"/runs/r/retry", url.Values{"reason": {"x"}, "all": {"true"}, "cluster": {"oslo"}}, acted{run + "/retry", map[string]any{"spec": map[string]any{"reason": "x"}}}, false},
		"skip clusters": {
			"/runs/r/skip", url.Values{"reason": {"x"}, "what": {"clusters"}, "cluster": {"oslo"}},
			acted{run + "/skip", map[string]any{"spec": map[string]any{"reason": "x", "clusters": []any{"oslo"}}}}, false,
		},
		"skip a stage": {
			"/runs/r/skip", url.Values{"reason": {"x"}, "what": {"stage:canary"}, "cluster": {"oslo"}},
			acted{run + "/skip", map[string]any{"spec": map[string]any{"reason": "x", "stage": "canary"}}}, false,
		},
		"skip a wait": {
			"/runs/r/skip", url.Values{"reason": {"x"}, "what": {"wait:canary"}},
			acted{run + "/skip", map[string]any{"spec": map[string]any{"reason": "x", "stage": "canary", "task": "TimedWait"}}}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newFakeHub(t)
			planned := waitingRun("", "r")
			if name == "start" {
				planned.RunSpec().State = v1beta1.StateInitialize
			}
			hub.put("clusterstagedupdateruns", planned)
			hub.put("clusterapprovalrequests", sampleRequest("", "r", "oslo"))
			o := open(t, hub).enter()
			form := o.get(tc.path)
			uid, version := hidden(t, form, "uid"), hidden(t, form, "resourceVersion")
			hub.put("clusterstagedupdateruns", planned.DeepCopyObject().(v1beta1.UpdateRunObject))
			hub.put("clusterapprovalrequests", sampleRequest("", "r", "oslo"))
			tc.form.Set("uid", uid)
			tc.form.Set("resourceVersion", version)
			answer, body := o.do(o.request(http.MethodPost, tc.path, tc.form))
			if answer.StatusCode != http.StatusSeeOther || !strings.HasPrefix(answer.Header.Get("Location"), "/runs/r?did=") {
				t.Fatalf("it is answered with %s to %q\n%s", answer.Status, answer.Header.Get("Location"), body)
			}
			asked := hub.changes()
			if len(asked) != 1 {
				t.Fatalf("the hub was asked for %v", asked)
			}
			metadata, _ := asked[0].Body["metadata"].(map[string]any)
			if metadata["uid"] != uid {
				t.Errorf("the uid is %v, want %s", metadata["uid"], uid)
			}
			if got, want := fmt.Sprint(metadata["resourceVersion"]), map[bool]string{false: version, true: "<nil>"}[tc.whatever]; got != want {
				t.Errorf("the resourceVersion is %s, want %s", got, want)
			}
			for _, field := range []string{"metadata", "kind", "apiVersion", "status"} {
				delete(asked[0].Body, field)
			}
			if diff := cmp.Diff(tc.want, asked[0]); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if page := o.get(answer.Header.Get("Location")); !strings.Contains(page, `class="did"`) {
				t.Errorf("the page does not say what was done")
			}
		})
	}
}

func TestWhomAnActTouches(t *testing.T) {
	hub := newFakeHub(t)
	largeFleet(hub)
	o := open(t, hub).enter()
	for path, wants := range map[string][]string{
		"/runs/edge-48/stop":                           {"40 clusters are in flight and will finish. 9260 clusters are still to be updated and will wait.", "<span>early-0600</span>", "<span>and 20 more</span>"},
		"/runs/edge-48/rollback":                       {"740 clusters will be taken back to the version that they had before.", "<span>and 720 more</span>"},
		"/runs/edge-48/retry":                          {`value="early-0097" checked`, `value="early-0519" checked`},
		"/runs/edge-48/skip":                           {`value="early-0097">`, `value="stage:production"`, "and 9,203 more: kubectl stagegate skip names any", "The rest of stage early: 403 clusters are not updated yet"},
		"/namespaces/payments/runs/ledger-3/retry":     {`value="paris" checked`},
		"/approvals/checkout-12-before-canary/approve": {"The stage moves 2 clusters to snapshot 4 of ClusterResourcePlacement checkout:", "oslo, paris", "ci-bot has created the run."},
	} {
		page := o.get(path)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q:\n%s", path, want, page)
			}
		}
	}
}

func TestFormsThatAreNotCompleteDoNothing(t *testing.T) {
	hub := newFakeHub(t)
	hub.put("clusterstagedupdateruns", waitingRun("", "r"))
	hub.put("clusterapprovalrequests", sampleRequest("", "r", "oslo"))
	o := open(t, hub).enter()
	seen := func(more url.Values) url.Values {
		form := url.Values{"uid": {"u"}, "resourceVersion": {"1"}}
		for k, v := range more {
			form[k] = v
		}
		return form
	}
	for name, tc := range map[string]struct {
		path string
		form url.Values
		want string
	}{
		"no reason":          {"/runs/r/stop", seen(nil), "A reason is required"},
		"spaces as a reason": {"/approvals/r-before-canary/approve", seen(url.Values{"reason": {"  "}}), "A reason is required"},
		"no object":          {"/approvals/r-before-canary/approve", url.Values{"reason": {"x"}}, "which object was shown"},
		"no clusters":        {"/runs/r/retry", seen(url.Values{"reason": {"x"}}), "Choose the clusters"},
		"nothing to skip":    {"/runs/r/skip", seen(url.Values{"reason": {"x"}}), "Choose the clusters"},
		"too much":           {"/runs/r/stop", seen(url.Values{"reason": {strings.Repeat("x", 100<<10)}}), "too large"},
	} {
		answer, body := o.do(o.request(http.MethodPost, tc.path, tc.form))
		if answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, tc.want) {
			t.Errorf("%s is answered with %s: %s", name, answer.Status, body)
		}
	}
	if asked := hub.changes(); len(asked) > 0 {
		t.Errorf("the hub was asked for %v", asked)
	}
}

func TestARefusalOfTheHubIsShownWithWhatWasFilledIn(t *testing.T) {
	hub := newFakeHub(t)
	hub.put("clusterstagedupdateruns", waitingRun("", "r"))
	o := open(t, hub).enter()
	form := url.Values{"reason": {"INC-7 errors"}, "uid": {"u"}, "resourceVersion": {"1"}}
	for _, tc := range []struct {
		message string
		code    int
		want    string
	}{
		{"the resourceVersion in the precondition (1) does not match the resourceVersion in record (2)", http.StatusConflict, "It has changed since you looked, and nothing was done."},
		{"the run is over", http.StatusConflict, "The hub refuses it, and nothing was done. The run is over"},
		{"clusterstagedupdateruns/resume is forbidden", http.StatusForbidden, "The hub refuses it, and nothing was done. Clusterstagedupdateruns/resume is forbidden"},
	} {
		hub.mu.Lock()
		hub.refuse = &metav1.Status{Code: int32(tc.code), Reason: metav1.StatusReason(http.StatusText(tc.code)), Message: tc.message}
		hub.mu.Unlock()
		answer, body := o.do(o.request(http.MethodPost, "/runs/r/resume", form))
		if answer.StatusCode != tc.code || !strings.Contains(body, tc.want) || !strings.Contains(body, ">INC-7 errors</textarea>") {
			t.Errorf("%s is answered with %s:\n%s", tc.message, answer.Status, body)
		}
		if got := hidden(t, body, "uid"); got != "uid-of-r" {
			t.Errorf("the form is about %s now", got)
		}
	}
}

// TestChangesAreSentAsSections follows a page over server-sent events.
func TestChangesAreSentAsSections(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	original := waitingRun("", "checkout-12")
	copied := func() v1beta1.UpdateRunObject { return original.DeepCopyObject().(v1beta1.UpdateRunObject) }
	hub.put("clusterstagedupdateruns", copied())
	o := open(t, hub).enter()
	r := o.request(http.MethodGet, "/runs/checkout-12", nil)
	r.Header.Set("Accept", "text/event-stream")
	answer, err := o.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	sections := make(chan change)
	go func() {
		defer close(sections)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
				var c change
				if err := json.Unmarshal([]byte(data), &c); err != nil {
					t.Errorf("%s: %v", data, err)
				}
				sections <- c
			}
		}
	}()
	next := func() change {
		select {
		case c := <-sections:
			return c
		case <-time.After(30 * time.Second):
			t.Fatal("no section was sent")
		}
		return change{}
	}
	var first []string
	for len(first) < 5 {
		first = append(first, next().ID)
	}
	if diff := cmp.Diff([]string{"notices", "run", "stage-1", "stage-2", "history"}, first); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Only what has changed is sent.
	changed := copied()
	changed.RunStatus().StagesStatus[1].Clusters[0] = sampleCluster("oslo", "failed", "it burns", time.Minute)
	changed.RunStatus().History = append(changed.RunStatus().History, v1beta1.UpdateRunHistoryEntry{Number: 3, Time: before(0), Reason: "Retried", User: "bob"})
	hub.put("clusterstagedupdateruns", changed)
	for _, want := range []struct{ id, text string }{{"run", "1</b> failed"}, {"stage-2", "it burns"}, {"history", "bob"}} {
		c := next()
		if c.ID != want.id || !strings.Contains(c.HTML, want.text) {
			t.Errorf("got %s, want %s with %q:\n%s", c.ID, want.id, want.text, c.HTML)
		}
	}
	// A stage that is gone is taken off the page.
	fewer := copied()
	fewer.RunStatus().StagesStatus = fewer.RunStatus().StagesStatus[:1]
	hub.put("clusterstagedupdateruns", fewer)
	for {
		if c := next(); c.Gone {
			if c.ID != "stage-2" {
				t.Errorf("%s is gone", c.ID)
			}
			break
		}
	}
}

// TestTenThousandClustersAreAHandfulOfElements bounds what a browser gets.
func TestTenThousandClustersAreAHandfulOfElements(t *testing.T) {
	hub := newFakeHub(t)
	largeFleet(hub)
	o := open(t, hub).enter()
	begun := time.Now()
	page := o.get("/runs/edge-48")
	t.Logf("%d bytes in %s", len(page), time.Since(begun))
	if len(page) > 64<<10 || strings.Count(page, "<") > 1500 {
		t.Errorf("the page has %d bytes and %d elements", len(page), strings.Count(page, "<"))
	}
	for _, want := range []string{`aria-label="8900 not yet"`, `aria-label="3 failed, 40 updating, 597 updated, 360 not yet"`, "early-0097", "<b>9,260</b>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	list := o.get("/runs/edge-48/clusters?stage=production&page=89")
	if !strings.Contains(list, "prod-8800") || !strings.Contains(list, "8,801 to 8,900 of 8,900") || strings.Contains(list, "prod-8799") {
		t.Errorf("the last page is\n%s", list)
	}
	if members := o.get("/members"); !strings.Contains(members, "<b>10,000</b>") && !strings.Contains(members, "<b>9,996</b>") || strings.Count(members, "<tr>") > perPage+1 {
		t.Error("the members are not those")
	}
	for _, path := range []string{"/members?page=999999", "/members?page=-1", "/members?page=x", "/runs/edge-48/clusters?stage=early&page=99999999999999999999"} {
		o.get(path)
	}
}

func TestRunsAreInAnOrder(t *testing.T) {
	hub := newFakeHub(t)
	for i := range maxOver + 3 {
		hub.put("clusterstagedupdateruns", over(waitingRun("", fmt.Sprintf("ended-%02d", i)), metav1.ConditionTrue, v1beta1.OutcomeSucceeded, "", time.Duration(i+1)*time.Hour))
	}
	hub.put("clusterstagedupdateruns", waitingRun("", "waits"))
	hub.put("stagedupdateruns", sampleRun("team", "moves", condition(v1beta1.RunProgressing, metav1.ConditionTrue, "UpdateRunProgressing", "", time.Minute),
		enteredStage("all", time.Minute, sampleCluster("oslo", "updating", "", time.Minute))))
	page := open(t, hub).enter().get("/")
	at := 0
	for _, want := range []string{"Wait for a person", "/runs/waits", "Under way", "/namespaces/team/runs/moves", "Over", "/runs/ended-00", "/runs/ended-01", "/runs/ended-49", "and 3 more"} {
		next := strings.Index(page[at:], want)
		if next < 0 {
			t.Fatalf("%s does not come next:\n%s", want, page)
		}
		at += next
	}
	if strings.Contains(page, "ended-50") {
		t.Error("a run is listed that ended before the others")
	}
}

func TestStrip(t *testing.T) {
	got := string(strip([]view.Cells{{State: view.ClusterUpdated, Count: 130}, {State: view.ClusterFailed, Count: 1}, {State: view.ClusterPending, Count: 9}}, 60))
	for _, want := range []string{
		// Two rows are one rectangle, and what is left of the third begins with ten cells.
		`<path class="fill-updated" d="M0 0h1020v34h-1020zM0 34h170v17h-170z"/>`, `<path class="fill-failed" d="M170 34h17v17h-17z"/>`,
		`<path class="fill-pending" d="M187 34h153v17h-153z"/>`, `aria-label="1 failed, 130 updated, 9 not yet"`, `viewBox="0 0 1020 51"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the strip lacks %s:\n%s", want, got)
		}
	}
	if strip(nil, 60) != "" {
		t.Error("there is a strip of nothing")
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 10000: "10,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
