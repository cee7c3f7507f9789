// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// charts has what of each chart is written by hand: values, their schema and notes. The templates are made from the manifests, so that these are
// the one place where an object is described.
//
//go:embed charts
var charts embed.FS

// chart is a Helm chart: its files by their names in it.
type chart struct {
	name, version string
	files         []file
}

// feature is a part of the manifests that values turn on.
type feature struct {
	// condition is what a template asks: .Values.ha.enabled
	condition string
	// with is the overlay that has the feature and no other one.
	with overlay
}

// editor puts values into an object of a chart. Both are asked of each object.
type editor func(b *blocks, obj object)

// newChart makes the templates of an overlay and its features. Each feature changes objects of its own.
func newChart(root, name, version string, base overlay, features []feature, edit editor, defaults map[string]string) (chart, error) {
	plain, err := base.build(root)
	if err != nil {
		return chart{}, err
	}
	// variants of an object, by its identity, in the order in which they are found.
	type variant struct {
		condition string
		obj       object
	}
	var order []string
	variants := map[string][]variant{}
	seen := func(obj object) string {
		id := identity(obj)
		if _, ok := variants[id]; !ok {
			order = append(order, id)
		}
		return id
	}
	for _, obj := range plain {
		id := seen(obj)
		variants[id] = append(variants[id], variant{"", obj})
	}
	for _, f := range features {
		built, err := f.with.build(root)
		if err != nil {
			return chart{}, err
		}
		has := map[string]bool{}
		add := func(id string, obj object) error {
			if len(variants[id]) > 0 && variants[id][len(variants[id])-1].condition != "" {
				return fmt.Errorf("%s is changed by %s and by %s", id, f.condition, variants[id][len(variants[id])-1].condition)
			}
			variants[id] = append(variants[id], variant{f.condition, obj})
			return nil
		}
		for _, obj := range built {
			id := seen(obj)
			has[id] = true
			if known := variants[id]; len(known) > 0 && reflect.DeepEqual(known[0].obj, obj) {
				continue
			}
			if err := add(id, obj); err != nil {
				return chart{}, err
			}
		}
		for _, obj := range plain {
			if id := identity(obj); !has[id] {
				if err := add(id, nil); err != nil {
					return chart{}, err
				}
			}
		}
	}

	templates := map[string]string{}
	for _, id := range order {
		known := variants[id]
		text := map[string]string{}
		var condition string
		for _, v := range known {
			if v.obj == nil {
				condition = v.condition
				continue
			}
			rendered, err := template(v.obj, edit)
			if err != nil {
				return chart{}, fmt.Errorf("%s: %w", id, err)
			}
			text[v.condition] = rendered
			if v.condition != "" {
				condition = v.condition
			}
		}
		kind, _ := known[0].obj["kind"].(string)
		var block string
		plain, always := text[""]
		switch changed, sometimes := text[condition]; {
		case condition == "":
			block = plain
		case always && sometimes:
			block = "{{- if " + condition + " }}\n" + changed + "{{- else }}\n" + plain + "{{- end }}\n"
		case sometimes:
			block = "{{- if " + condition + " }}\n" + changed + "{{- end }}\n"
		default:
			block = "{{- if not (" + condition + ") }}\n" + plain + "{{- end }}\n"
		}
		if kind == "Namespace" {
			block = "{{- if .Values.namespace.create }}\n" + block + "{{- end }}\n"
		}
		templates["templates/"+strings.ToLower(kind)+".yaml"] += block
	}

	c := chart{name: name, version: strings.TrimPrefix(version, "v")}
	for path, text := range templates {
		c.files = append(c.files, file{path, 0o644, []byte(text)})
	}
	entries, err := fs.ReadDir(charts, "charts/"+name)
	if err != nil {
		return chart{}, err
	}
	for _, entry := range entries {
		data, err := fs.ReadFile(charts, "charts/"+name+"/"+entry.Name())
		if err != nil {
			return chart{}, err
		}
		text := string(data)
		for token, value := range defaults {
			text = strings.ReplaceAll(text, "@"+token+"@", value)
		}
		path := entry.Name()
		switch path {
		case "NOTES.txt":
			path = "templates/NOTES.txt"
		case "Chart.yaml":
			text += fmt.Sprintf("version: %s\nappVersion: %s\n", c.version, version)
		}
		c.files = append(c.files, file{path, 0o644, []byte(text)})
	}
	slices.SortFunc(c.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return c, nil
}

func identity(obj object) string {
	u := unstructured.Unstructured{Object: obj}
	return u.GroupVersionKind().String() + " " + u.GetNamespace() + "/" + u.GetName()
}

// blocks are the places of an object at which a template has something else than the manifest.
type blocks struct{ texts []string }

// value stands for a scalar, or a part of one: an expression of a template.
func (b *blocks) value(text string) string {
	b.texts = append(b.texts, text)
	return fmt.Sprintf("zzvalue%04dzz", len(b.texts)-1)
}

// lines stands for a field of a map, or an item of a list: lines of a template, in which @2 is how far the field is indented and 2 more.
func (b *blocks) lines(text string) string {
	b.texts = append(b.texts, text)
	return fmt.Sprintf("zzlines%04dzz", len(b.texts)-1)
}

// quoted stands for a scalar that is a string whatever is in it.
func (b *blocks) quoted(expression string) string { return b.value("{{ " + expression + " | quote }}") }

// optional adds a field to a map for a value that is not empty.
func (b *blocks) optional(into object, field, value string) {
	into[b.lines("{{- with "+value+" }}\n"+field+": {{- toYaml . | nindent @2 }}\n{{- end }}")] = nil
}

// scalar adds a field with a string to a map for a value that is not empty.
func (b *blocks) scalar(into object, field, value string) {
	into[b.lines("{{- with "+value+" }}\n"+field+": {{ . | quote }}\n{{- end }}")] = nil
}

// more adds the entries of a value to a list.
func (b *blocks) more(into object, field, value string) {
	list, _ := into[field].([]any)
	into[field] = append(list, b.lines("{{- with "+value+" }}\n{{- toYaml . | nindent @0 }}\n{{- end }}"))
}

// replace has a value in place of a map or a list.
func (b *blocks) replace(into object, field, value string) {
	delete(into, field)
	into[b.lines(field+": {{- toYaml "+value+" | nindent @2 }}")] = nil
}

var (
	ownLine = regexp.MustCompile(`(?m)^( *)(?:- )?zzlines(\d{4})zz(?:: null)?\n`)
	within  = regexp.MustCompile(`zzvalue(\d{4})zz`)
	indents = regexp.MustCompile(`@(\d)`)
)

// template is an object as a template that renders to it with the default values.
func template(obj object, edit editor) (string, error) {
	b := &blocks{}
	obj = (&unstructured.Unstructured{Object: obj}).DeepCopy().Object
	edit(b, obj)
	data, err := yaml.Marshal(obj)
	if err != nil {
		return "", err
	}
	text := strings.ReplaceAll(string(data), "{{", `{{ "{{" }}`)
	number := func(digits string) (n int) {
		_, _ = fmt.Sscanf(digits, "%04d", &n)
		return n
	}
	text = ownLine.ReplaceAllStringFunc(text, func(line string) string {
		match := ownLine.FindStringSubmatch(line)
		var all strings.Builder
		for part := range strings.Lines(b.texts[number(match[2])] + "\n") {
			if !strings.HasPrefix(part, "{{-") {
				all.WriteString(match[1])
			}
			all.WriteString(indents.ReplaceAllStringFunc(part, func(at string) string { return fmt.Sprint(len(match[1]) + int(at[1]-'0')) }))
		}
		return all.String()
	})
	text = within.ReplaceAllStringFunc(text, func(at string) string { return b.texts[number(within.FindStringSubmatch(at)[1])] })
	return "---\n" + text, nil
}

// write writes the chart as a directory, whose name is the chart's, below dir.
func (c chart) write(dir string) error {
	for _, f := range c.files {
		path := filepath.Join(dir, c.name, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pack writes the chart as one file into dir, under the name that helm package gives it.
func (c chart) pack(dir string, date time.Time) error {
	var files []file
	for _, f := range c.files {
		files = append(files, file{c.name + "/" + f.name, f.mode, f.data})
	}
	data, err := archive(files, date)
	if err != nil {
		return err
	}
	if data, err = compress(data); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, c.name+"-"+c.version+".tgz"), data, 0o644)
}
