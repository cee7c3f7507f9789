// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/*
var assetFiles embed.FS

// assetTypes are the assets by their ending.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func (s *server) asset(w http.ResponseWriter, r *http.Request) {
	data, err := assetFiles.ReadFile(path.Join("assets", path.Base(r.PathValue("file"))))
	if err != nil {
		s.refuse(w, r, http.StatusNotFound, "There is no such file.", "")
		return
	}
	w.Header().Set("Content-Type", assetTypes[path.Ext(r.PathValue("file"))])
	_, _ = w.Write(data)
}

// templates returns the templates. Ages in them are as of a time.
func templates(now time.Time) *template.Template {
	return template.Must(parsed.Clone()).Funcs(template.FuncMap{
		"age":  func(t any) template.HTML { return age(t, now, "") },
		"left": func(t any) template.HTML { return age(t, now, "left") },
	})
}

var parsed = template.Must(template.New("").Funcs(template.FuncMap{
	"age":   func(any) template.HTML { return "" },
	"left":  func(any) template.HTML { return "" },
	"icon":  icon,
	"bar":   bar,
	"count": wording.Count,
	"key":   wording.Key,
	"clean": view.Clean,
	"lower": func(s any) string { return strings.ToLower(fmt.Sprint(s)) },
	"words": words,
	"num":   number,
}).ParseFS(templateFiles, "templates/*.html"))

// number writes a number with its thousands apart.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// age returns how long ago a time was, or how long it is until then. A script keeps it up to date.
func age(t any, now time.Time, direction string) template.HTML {
	var at time.Time
	switch t := t.(type) {
	case *metav1.Time:
		if t != nil {
			at = t.Time
		}
	case metav1.Time:
		at = t.Time
	}
	if at.IsZero() {
		return ""
	}
	span := now.Sub(at)
	if direction == "left" {
		span = -span
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-age="%s" title="%s">%s</time>`, //nolint:gosec // times alone.
		at.UTC().Format(time.RFC3339), direction, at.Local().Format("2006-01-02 15:04:05 MST"), duration.HumanDuration(max(span, 0))))
}

// icons are the shapes of states: no state is told by its color alone.
var icons = map[string]string{
	"check": `<path d="M3 8.5l3.2 3.2L13 4.8"/>`,
	"cross": `<path d="M4 4l8 8M12 4l-8 8"/>`,
	"clock": `<circle cx="8" cy="8" r="5.6"/><path d="M8 5v3.2l2 1.4"/>`,
	"play":  `<path class="solid" d="M5 3.2l7.6 4.8L5 12.8z"/>`,
	"ring":  `<circle cx="8" cy="8" r="5"/>`,
	"dash":  `<path d="M3.5 8h9"/>`,
	"bang":  `<path d="M8 3v6"/><path d="M8 12.4v.2"/>`,
	"pause": `<path d="M5.5 3.5v9M10.5 3.5v9"/>`,
	"hand":  `<circle cx="8" cy="5" r="2.6"/><path d="M2.8 13.6c.6-3 2.6-4.4 5.2-4.4s4.6 1.4 5.2 4.4"/>`,
	"turn":  `<path d="M3.5 6.5h7a2.8 2.8 0 0 1 0 5.6H8"/><path d="M6 3.8L3.3 6.5 6 9.2"/>`,
}

func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true" viewBox="0 0 16 16">` + icons[name] + `</svg>`) //nolint:gosec // constants.
}

// look is how a state looks: a tone, which is a class of a color with one meaning, and an icon.
type look struct{ Tone, Icon, Word string }

// words returns a state as words: WaitingForApproval is "Waiting for approval".
func words(state any) string {
	var b strings.Builder
	for i, r := range fmt.Sprint(state) {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func lookOfRun(v *view.Run) look {
	l := look{"moving", "play", words(v.State)}
	switch {
	case v.Outcome == v1beta1.OutcomeSucceeded:
		l.Tone, l.Icon = "done", "check"
	case v.Outcome == v1beta1.OutcomeSucceededWithFailures:
		l.Tone, l.Icon = "person", "check"
	case v.Outcome == v1beta1.OutcomeRolledBack:
		l.Tone, l.Icon = "failed", "turn"
	case v.Over:
		l.Tone, l.Icon = "failed", "cross"
	case v.Phase() == runrules.PhaseStuck, v.Phase() == runrules.PhasePaused:
		l.Tone, l.Icon = "failed", "bang"
	case v.Phase() == runrules.PhaseStopped, v.Phase() == runrules.PhaseStopping:
		l.Tone, l.Icon = "person", "pause"
	case v.NeedsPerson:
		l.Tone, l.Icon = "person", "hand"
	case v.Phase() == runrules.PhaseProgressing:
	default:
		l.Tone, l.Icon = "idle", "clock"
	}
	return l
}

func lookOfStage(s view.StageState) look {
	switch s {
	case view.StageSucceeded:
		return look{"done", "check", "Succeeded"}
	case view.StageFailed:
		return look{"failed", "cross", "Failed"}
	case view.StageSkipped:
		return look{"idle", "dash", "Skipped"}
	case view.StageWaiting:
		return look{"person", "clock", "Waiting"}
	case view.StageUpdating:
		return look{"moving", "play", "Updating"}
	}
	return look{"idle", "ring", "Not yet"}
}

func lookOfCluster(s view.ClusterState) look {
	switch s {
	case view.ClusterUpdated:
		return look{"done", "check", "Updated"}
	case view.ClusterFailed:
		return look{"failed", "cross", "Failed"}
	case view.ClusterSkipped:
		return look{"idle", "dash", "Skipped"}
	case view.ClusterHeld:
		return look{"person", "bang", "Held"}
	case view.ClusterUpdating:
		return look{"moving", "play", "Updating"}
	}
	return look{"idle", "ring", "Not yet"}
}

// page is what a page shows: sections, each of which is sent again when it has changed.
type page struct {
	Title string
	// Tab is the part of the navigation that the page is in.
	Tab      string
	Sections []section
	// Code is that of the answer, 200 if not set.
	Code int
	// Still is a page that nothing is sent to: what a form is about must not change below the hand that fills it in.
	Still bool
}

// section is a part of a page.
type section struct {
	// ID is the element, and Template what is drawn in it.
	ID, Template string
	Data         any
	// Once makes the data where the whole page is sent, for what the hub is asked for; it is not sent again.
	Once func() any
	// Announce is read out when it changes.
	Announce string
}

// layout is the frame around the sections.
type layout struct {
	*page
	Hub, Scope, User string
	ReadOnly         bool
	Tabs             []tab
	Parts            []part
}

type tab struct {
	Name, Path string
	Current    bool
}

type part struct {
	ID, Announce string
	HTML         template.HTML
}

// parts draws the sections of a page; without whole those that are sent again.
func (s *server) parts(p *page, whole bool) ([]part, error) {
	all := templates(s.Clock.Now())
	var drawn []part
	for _, sec := range p.Sections {
		data := sec.Data
		if sec.Once != nil {
			if !whole {
				continue
			}
			data = sec.Once()
		}
		var b bytes.Buffer
		if err := all.ExecuteTemplate(&b, sec.Template, data); err != nil {
			return nil, fmt.Errorf("drawing %s: %w", sec.ID, err)
		}
		drawn = append(drawn, part{sec.ID, sec.Announce, template.HTML(b.String())}) //nolint:gosec // a template has made it.
	}
	return drawn, nil
}

// show sends a whole page.
func (s *server) show(w http.ResponseWriter, p *page) {
	parts, err := s.parts(p, true)
	if err != nil {
		plain(w, http.StatusInternalServerError, view.Clean(err.Error()))
		return
	}
	l := layout{page: p, Hub: view.Clean(s.Hub), User: view.Clean(s.me.Username), ReadOnly: s.ReadOnly, Parts: parts, Scope: "all namespaces"}
	if s.Namespace != "" {
		l.Scope = "namespace " + view.Clean(s.Namespace)
	}
	for _, t := range []tab{{Name: "Runs", Path: "/"}, {Name: "Approvals", Path: "/approvals"}, {Name: "Members", Path: "/members"}, {Name: "Placements", Path: "/placements"}} {
		t.Current = t.Name == p.Tab
		l.Tabs = append(l.Tabs, t)
	}
	var b bytes.Buffer
	if err := templates(s.Clock.Now()).ExecuteTemplate(&b, "layout", l); err != nil {
		plain(w, http.StatusInternalServerError, view.Clean(err.Error()))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.Code != 0 {
		w.WriteHeader(p.Code)
	}
	_, _ = w.Write(b.Bytes())
}

// empty is a page or a part of it that has nothing to show: what that means, and what to do about it.
type empty struct{ Title, Text, Command string }

// refuse sends a page that says why there is nothing else.
func (s *server) refuse(w http.ResponseWriter, _ *http.Request, code int, title, text string) {
	s.show(w, &page{Title: title, Code: code, Still: true, Sections: []section{{ID: "main-refused", Template: "empty", Data: empty{Title: title, Text: text}}}})
}

// scopedPath returns the path of a page about an object.
func scopedPath(namespace, what, name string, rest ...string) string {
	p := "/" + what + "/" + url.PathEscape(name)
	if namespace != "" {
		p = "/namespaces/" + url.PathEscape(namespace) + p
	}
	for _, r := range rest {
		p += "/" + r
	}
	return p
}
