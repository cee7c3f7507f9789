// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const (
	monitoring = "../../artifacts/monitoring/"
	runbook    = "https://github.com/stagegate/stagegate/blob/main/docs/known-issues.md#"
)

type alertGroup struct {
	Name  string
	Rules []struct {
		Alert, Expr, For    string
		Labels, Annotations map[string]string
	}
}

// What wakes somebody at night says what to do.
func TestEachAlertHasARunbook(t *testing.T) {
	var rules struct{ Groups []alertGroup }
	if err := yaml.UnmarshalStrict([]byte(read(t, monitoring+"rules.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	text, anchors := document(t, "../../docs/known-issues.md")
	_, section, _ := strings.Cut(text, "\n## Alerts\n")
	var alerts, described []string
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			alerts = append(alerts, rule.Alert)
			if rule.Annotations["summary"] == "" || !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
				t.Errorf("%s has summary %q and severity %q", rule.Alert, rule.Annotations["summary"], rule.Labels["severity"])
			}
			heading, found := strings.CutPrefix(rule.Annotations["runbook_url"], runbook)
			if !found || !slices.Contains(anchors, heading) || heading != anchor(rule.Alert) {
				t.Errorf("%s has the runbook_url %q, want %s%s, a heading of docs/known-issues.md", rule.Alert, rule.Annotations["runbook_url"], runbook, anchor(rule.Alert))
			}
		}
	}
	if len(alerts) < 10 {
		t.Errorf("only %d alerts are found", len(alerts))
	}
	for _, match := range headings.FindAllStringSubmatch(section, -1) {
		described = append(described, match[1])
	}
	if diff := cmp.Diff(alerts, described); diff != "" {
		t.Errorf("headings of the alerts in docs/known-issues.md (-rules.yaml +document):\n%s", diff)
	}
}

func TestThePrometheusRuleIsTheRuleFile(t *testing.T) {
	var file map[string]any
	var object struct{ Spec map[string]any }
	if err := yaml.Unmarshal([]byte(read(t, monitoring+"rules.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(read(t, monitoring+"prometheusrule.yaml")), &object); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(file, object.Spec); diff != "" {
		t.Errorf("alerts (-rules.yaml +prometheusrule.yaml):\n%s", diff)
	}
}

// A dashboard is imported as it is: into any Grafana, with whatever data source, and without plugins.
func TestDashboardsCanBeImported(t *testing.T) {
	type source struct{ Type, UID string }
	for _, name := range []string{"fleet.json", "run.json"} {
		var dashboard struct {
			ID            *int
			UID, Title    string
			SchemaVersion int
			Templating    struct {
				List []struct {
					Name, Type string
					Query      any
				}
			}
			Panels []struct {
				ID          int
				Type, Title string
				Datasource  source
				Targets     []struct{ Datasource source }
			}
		}
		if err := json.Unmarshal([]byte(read(t, monitoring+name)), &dashboard); err != nil {
			t.Fatal(err)
		}
		if dashboard.ID != nil || dashboard.UID == "" || dashboard.SchemaVersion < 39 {
			t.Errorf("%s has id %v, uid %q and schemaVersion %d, want none, one, and 39 or later", name, dashboard.ID, dashboard.UID, dashboard.SchemaVersion)
		}
		if list := dashboard.Templating.List; len(list) == 0 || list[0].Name != "datasource" || list[0].Type != "datasource" || list[0].Query != "prometheus" {
			t.Errorf("%s has not the data source as its first variable: %v", name, list)
		}
		ids, want := map[int]bool{}, source{Type: "prometheus", UID: "${datasource}"}
		for _, panel := range dashboard.Panels {
			if ids[panel.ID] {
				t.Errorf("%s has two panels %d", name, panel.ID)
			}
			ids[panel.ID] = true
			if !slices.Contains([]string{"row", "stat", "timeseries", "state-timeline", "table"}, panel.Type) {
				t.Errorf("%s: panel %q is a %s, which takes a plugin perhaps", name, panel.Title, panel.Type)
			}
			for _, target := range panel.Targets {
				if panel.Datasource != want || target.Datasource != want {
					t.Errorf("%s: panel %q asks %v and %v, want the variable", name, panel.Title, panel.Datasource, target.Datasource)
				}
			}
		}
	}
}

// A panel is read by somebody who has not made it: it says what it shows, in which unit, and what it means that it is empty.
func TestEachPanelExplainsItself(t *testing.T) {
	for _, name := range []string{"fleet.json", "run.json"} {
		var dashboard struct {
			Panels []struct {
				Type, Title, Description string
				FieldConfig              struct {
					Defaults struct{ Unit, NoValue string }
				}
			}
		}
		if err := json.Unmarshal([]byte(read(t, monitoring+name)), &dashboard); err != nil {
			t.Fatal(err)
		}
		panels := 0
		for _, panel := range dashboard.Panels {
			if panel.Type == "row" {
				continue
			}
			panels++
			is := panel.FieldConfig.Defaults
			if panel.Title == "" || panel.Description == "" || is.Unit == "" || is.NoValue == "" {
				t.Errorf("panel %q of %s has description %q, unit %q and for no value %q", panel.Title, name, panel.Description, is.Unit, is.NoValue)
			}
		}
		if panels < 5 {
			t.Errorf("only %d panels are found in %s", panels, name)
		}
	}
}
