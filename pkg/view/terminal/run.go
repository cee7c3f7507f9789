// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
)

const (
	// barWidth is how many columns the bar has.
	barWidth = 20
	// shownEntries is how many entries of the history are below the tree.
	shownEntries = 3
	// maxName is how many columns a name gets before it is cut.
	maxName = 30
	// gap is between two columns.
	gap = "   "
)

// Run draws a run: a line on how it stands, a bar, a tree of its stages, and what happened last.
func Run(v *view.Run, o Options) []string {
	lines := []string{o.head(v)}
	if v.Progress.Clusters > 0 {
		lines = append(lines, o.bar(v.Progress))
	}
	lines = append(lines, o.tree(v)...)
	if wait := o.waits(v); wait != "" {
		lines = append(lines, wait)
	}
	for _, e := range v.History[max(0, len(v.History)-shownEntries):] {
		lines = append(lines, o.entry(e))
	}
	return lines
}

func (o *Options) head(v *view.Run) string {
	l := o.line().add(bold, wording.Key(v.Object.Namespace, v.Object.Name)).add(plain, "  ").add(stateStyle(v), v.State)
	if since := o.age(v.Since); since != "" {
		if v.Over {
			since += " ago"
		}
		l.add(plain, " "+since)
	}
	if v.RollbackOf != "" {
		l.add(plain, "  rollback of "+v.RollbackOf)
	}
	if v.Snapshot != "" {
		l.add(plain, "  snapshot "+v.Snapshot+" of "+v.Placement)
	} else {
		l.add(plain, "  of "+v.Placement)
	}
	l.add(plain, "  strategy "+v.Strategy)
	if v.CreatedBy != "" {
		l.add(faint, "  by "+v.CreatedBy)
	}
	return l.String()
}

func stateStyle(v *view.Run) style {
	switch {
	case v.Outcome == v1beta1.OutcomeSucceeded:
		return green
	case v.Over && v.Outcome != v1beta1.OutcomeSucceededWithFailures:
		return red
	case v.Over, v.NeedsPerson:
		return yellow
	}
	return cyan
}

func (o *Options) bar(p view.Progress) string {
	share := func(n int) int { return n * barWidth / p.Clusters }
	done, failed := share(p.Updated+p.Skipped), share(p.Failed)
	if p.Failed > 0 && failed == 0 && done < barWidth {
		// A failure is not rounded away.
		failed = 1
	}
	l := o.line()
	l.add(green, strings.Repeat(o.icon("█", "#"), done)).add(red, strings.Repeat(o.icon("▓", "x"), failed))
	l.add(faint, strings.Repeat(o.icon("░", "-"), barWidth-done-failed))
	return l.add(plain, "  "+counts(p)).String()
}

// counts returns "52/100 updated, 2 failed, 6 updating".
func counts(p view.Progress) string {
	text := fmt.Sprintf("%d/%d updated", p.Updated, p.Clusters)
	for _, part := range []struct {
		n    int
		what string
	}{{p.Failed, "failed"}, {p.Skipped, "skipped"}, {p.Updating, "updating"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	return text
}

func (o *Options) tree(v *view.Run) []string {
	names, numbers := 0, 0
	for i := range v.Stages {
		names = max(names, min(Width(v.Stages[i].Name), maxName))
		numbers = max(numbers, len(share(v.Stages[i].Progress)))
	}
	var lines []string
	for i := range v.Stages {
		s := &v.Stages[i]
		branch, below := o.icon("├─ ", "|- "), o.icon("│  ", "|  ")
		if i == len(v.Stages)-1 {
			branch, below = o.icon("└─ ", "`- "), "   "
		}
		icon, color := o.stageIcon(s.State)
		l := o.line().add(faint, branch).add(color, icon).add(plain, " "+cut(s.Name, maxName)).pad(Width(branch) + 2 + names)
		l.add(plain, gap+share(s.Progress))
		if details := o.details(s); len(details) > 0 {
			l.pad(Width(branch)+2+names+len(gap)+numbers).add(plain, gap+strings.Join(details, gap))
		}
		lines = append(lines, l.String())
		lines = append(lines, o.clusters(s, below)...)
	}
	return lines
}

func share(p view.Progress) string { return fmt.Sprintf("%d/%d", p.Updated, p.Clusters) }

func (o *Options) stageIcon(s view.StageState) (string, style) {
	switch s {
	case view.StageSucceeded:
		return o.icon("✔", "+"), green
	case view.StageFailed:
		return o.icon("✖", "x"), red
	case view.StageSkipped:
		return o.icon("–", "-"), faint
	case view.StageWaiting:
		return o.icon("◷", "~"), yellow
	case view.StageUpdating:
		return o.icon("▶", ">"), cyan
	}
	return o.icon("○", "o"), faint
}

// details are what there is to say of a stage beside its progress.
func (o *Options) details(s *view.Stage) []string {
	var details []string
	switch {
	case s.State == view.StageSkipped:
		return []string{"no clusters"}
	case s.Start != nil && s.End != nil:
		details = append(details, duration.HumanDuration(max(s.End.Sub(s.Start.Time), 0)))
	}
	for _, part := range []struct {
		n    int
		what string
	}{{s.Progress.Failed, "failed"}, {s.Progress.Skipped, "skipped"}, {s.Progress.Updating, "updating"}} {
		if part.n > 0 {
			details = append(details, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if s.State == view.StageSucceeded || s.State == view.StageFailed {
		return details
	}
	for i := range s.Tasks {
		if text := o.task(&s.Tasks[i]); text != "" {
			details = append(details, text)
		}
	}
	return details
}

// task returns what a task waits for or will wait for, nothing for one that is done.
func (o *Options) task(t *view.Task) string {
	when := "after"
	if t.Before {
		when = "before"
	}
	switch {
	case t.Done:
		return ""
	case t.Type == v1beta1.StageTaskTypeTimedWait:
		if t.Open && t.WaitEnd != nil {
			return "wait: " + o.left(t.WaitEnd) + " left"
		}
		return strings.TrimSpace("wait " + waitTime(t.Wait) + " " + when)
	case !t.Open:
		return "approval " + when
	case t.Approval == nil:
		return "waits for approval"
	}
	return o.approval(t.Approval)
}

func waitTime(wait *metav1.Duration) string {
	if wait == nil {
		return ""
	}
	return wording.Duration(wait.Duration)
}

// approval returns how an open request stands. What may be cut comes last: "waits for approval, expires in 23h, by jo so far: 1 of 2 approvals".
func (o *Options) approval(a *view.Approval) string {
	text := "waits for approval"
	if a.Expires != nil {
		text += ", expires in " + o.left(a.Expires)
	}
	if by := approvers(a); len(by) > 0 {
		text += ", by " + wording.First(by, 3) + " so far"
	}
	if a.Lacks != "" && a.Lacks != "approval" {
		text += ": " + a.Lacks
	}
	return text
}

func approvers(a *view.Approval) []string {
	var by []string
	for _, d := range a.Decisions {
		if d.Decision == v1beta1.DecisionApproved {
			by = append(by, d.User)
		}
	}
	return by
}

func (o *Options) clusters(s *view.Stage, below string) []string {
	names, ages := 0, 0
	for i := range s.Listed {
		names = max(names, min(Width(s.Listed[i].Name), maxName))
		ages = max(ages, len(o.clusterAge(&s.Listed[i])))
	}
	var lines []string
	for i := range s.Listed {
		c := &s.Listed[i]
		icon, color := o.clusterIcon(c.State)
		l := o.line().add(faint, below).add(color, icon).add(plain, " "+cut(c.Name, maxName)).pad(Width(below) + 2 + names)
		// The age comes before the message, which may be too long for the line.
		l.add(faint, fmt.Sprintf("  %*s", ages, o.clusterAge(c)))
		if c.Message != "" {
			l.add(plain, "  "+c.Message)
		}
		lines = append(lines, l.String())
	}
	if s.Unlisted > 0 {
		lines = append(lines, o.line().add(faint, fmt.Sprintf("%sand %d more", below, s.Unlisted)).String())
	}
	return lines
}

// clusterAge returns since when a cluster is being updated, or was until it failed.
func (o *Options) clusterAge(c *view.Cluster) string {
	if c.State == view.ClusterUpdating || c.State == view.ClusterFailed {
		return o.age(c.Since)
	}
	return ""
}

func (o *Options) clusterIcon(s view.ClusterState) (string, style) {
	switch s {
	case view.ClusterFailed:
		return o.icon("✖", "x"), red
	case view.ClusterHeld:
		return o.icon("!", "!"), yellow
	case view.ClusterUpdating:
		return o.icon("▶", ">"), cyan
	case view.ClusterUpdated:
		return o.icon("✔", "+"), green
	case view.ClusterSkipped:
		return o.icon("–", "-"), faint
	}
	return o.icon("○", "o"), faint
}

// waits returns what holds a run up, or how it ended, where the tree does not say it.
func (o *Options) waits(v *view.Run) string {
	switch {
	case v.Over && v.Outcome != v1beta1.OutcomeSucceeded:
		return o.line().add(red, v.Message).String()
	case v.Over:
		return ""
	case v.Phase() == runrules.PhasePlanned, v.Phase() == runrules.PhaseWaitingForApproval:
		return ""
	case v.NeedsPerson && v.Message != "":
		return o.line().add(yellow, v.Message).String()
	}
	for i := range v.Stages {
		if s := &v.Stages[i]; s.State == view.StageWaiting || len(s.Listed) > 0 {
			return ""
		}
	}
	if v.WaitingFor == "" {
		return ""
	}
	return o.line().add(yellow, "waits for "+v.WaitingFor).String()
}

func (o *Options) entry(e view.Entry) string {
	l := o.line().add(faint, o.clock(e.Time.Time)+"  ").add(plain, e.Reason)
	if e.User != "" {
		l.add(plain, " by "+e.User)
	}
	if e.Message != "" {
		l.add(faint, "  "+e.Message)
	}
	return l.String()
}

// Hints draws commands that the user may give next.
func Hints(commands []string, o Options) []string {
	var lines []string
	for _, c := range commands {
		lines = append(lines, o.line().add(cyan, o.icon("→ ", "=> ")).add(plain, c).String())
	}
	return lines
}

// Entry draws an entry of the history for a log: the time in full, no color, no cut.
func Entry(e view.Entry) string {
	text := e.Time.UTC().Format("2006-01-02T15:04:05Z") + "  " + e.Reason
	if e.User != "" {
		text += " by " + e.User
	}
	if e.Message != "" {
		text += "  " + e.Message
	}
	return text
}

// Plan draws what a run would do: its stages with their clusters, pace and tasks.
func Plan(v *view.Run, o Options) []string {
	lines := []string{o.line().add(bold, "snapshot "+v.Snapshot).add(plain, fmt.Sprintf(" of %s  strategy %s  %s in %s",
		v.Placement, v.Strategy, wording.Count(v.Progress.Clusters, "cluster"), wording.Count(len(v.Stages), "stage"))).String()}
	for i := range v.Stages {
		s := &v.Stages[i]
		l := o.line().add(plain, fmt.Sprintf("%d  ", i+1)).add(bold, s.Name).add(plain, "  "+wording.Count(s.Progress.Clusters, "cluster"))
		if s.MaxConcurrency != "" {
			l.add(plain, ", "+s.MaxConcurrency+" at a time")
		}
		for j := range s.Tasks {
			l.add(yellow, gap+o.task(&s.Tasks[j]))
		}
		lines = append(lines, l.String())
		for _, c := range s.Listed {
			l := o.line().add(plain, "   "+c.Name)
			if c.Overrides > 0 {
				l.add(faint, "  "+wording.Count(c.Overrides, "override"))
			}
			lines = append(lines, l.String())
		}
		if s.Unlisted > 0 {
			lines = append(lines, fmt.Sprintf("   and %d more", s.Unlisted))
		}
	}
	for _, p := range v.Policies {
		text := p.Object.Kind + " " + wording.Key(p.Object.Namespace, p.Object.Name) + " governs " + wording.List(p.Stages)
		switch {
		case p.Overridden:
			text += ", overridden"
		case p.Warns:
			text += ", warns only"
		}
		lines = append(lines, o.line().add(faint, text).String())
	}
	return lines
}
