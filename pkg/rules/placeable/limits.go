// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// Limits are what the administrator of a hub keeps from being placed, beyond what nobody places. They only take away: what is never selected
// stays so whatever is allowed. nil limits nothing. It does not change.
type Limits struct {
	skipped, allowed *kindList
	namespaces       sets.Set[string]
}

// Flags that name kinds.
const (
	skippedFlag = "--skipped-propagating-apis"
	allowedFlag = "--allowed-propagating-apis"
)

// LimitOptions are how an administrator writes them. Entries of kinds are divided by semicolons: a group (apps), a group and a version
// (apps/v1), kinds of these (apps/v1/Deployment,DaemonSet), or kinds of the core group (v1/ConfigMap,Secret). A version is there for the
// reader: an object is the same in each version of its kind. Names of namespaces are divided by commas.
type LimitOptions struct {
	SkippedAPIs, AllowedAPIs, SkippedNamespaces string
}

// kindList is groups of kinds, and single kinds.
type kindList struct {
	groups sets.Set[string]
	kinds  sets.Set[schema.GroupKind]
	// named is all of it as it is written.
	named []Named
}

// Named is something that an administrator has named in limits.
type Named struct {
	// Flag that names it.
	Flag string
	// Entry as it is written.
	Entry string
	// GroupKind that is meant, without a kind where it is a whole group.
	schema.GroupKind
}

func (l *kindList) has(gk schema.GroupKind) bool { return l.groups.Has(gk.Group) || l.kinds.Has(gk) }

// ParseLimits reads limits. An error names the option and what to write.
func ParseLimits(o LimitOptions) (*Limits, error) {
	if o.SkippedAPIs != "" && o.AllowedAPIs != "" {
		return nil, errors.New(skippedFlag + " and " + allowedFlag + " exclude each other: what is not allowed is skipped")
	}
	limits := &Limits{namespaces: sets.New[string]()}
	var err error
	if limits.skipped, err = parseKinds(o.SkippedAPIs); err != nil {
		return nil, fmt.Errorf("%s: %w", skippedFlag, err)
	}
	if limits.allowed, err = parseKinds(o.AllowedAPIs); err != nil {
		return nil, fmt.Errorf("%s: %w", allowedFlag, err)
	}
	if limits.allowed != nil {
		for gk := range limits.allowed.kinds {
			if NeverSelected(gk) {
				return nil, fmt.Errorf("%s: %s is never placed: remove it", allowedFlag, gk)
			}
		}
		for group := range limits.allowed.groups {
			if NeverSelectedGroup(group) {
				return nil, fmt.Errorf("%s: nothing of the group %s is ever placed: remove it", allowedFlag, group)
			}
		}
	}
	if o.SkippedNamespaces == "" {
		return limits, nil
	}
	for _, name := range strings.Split(o.SkippedNamespaces, ",") {
		name = strings.TrimSpace(name)
		if messages := validation.IsDNS1123Label(name); len(messages) > 0 {
			return nil, fmt.Errorf("--skipped-propagating-namespaces: %q is no name of a namespace: write names with commas between them: %s", name, strings.Join(messages, "; "))
		}
		limits.namespaces.Insert(name)
	}
	return limits, nil
}

var (
	isVersion = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`)
	isKind    = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
)

// parseKinds returns nil for no text.
func parseKinds(text string) (*kindList, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	list := &kindList{groups: sets.New[string](), kinds: sets.New[schema.GroupKind]()}
	for _, entry := range strings.Split(text, ";") {
		if err := list.add(strings.TrimSpace(entry)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (l *kindList) add(entry string) error {
	parts := strings.Split(entry, "/")
	switch {
	case entry == "":
		return errors.New("an entry is empty: write entries with one semicolon between them, and none after the last")
	case len(parts) == 1 && isVersion.MatchString(entry):
		return fmt.Errorf("%q is a version and no group: write kinds of the core group as v1/ConfigMap,Secret", entry)
	case len(parts) == 1 && isKind.MatchString(entry):
		return fmt.Errorf("%q is a kind and no group: write it as v1/%s if it is of the core group, and with its group and version if not, as in apps/v1/Deployment", entry, entry)
	case len(parts) == 1:
		return l.addGroup(entry, entry)
	case len(parts) == 2 && parts[0] == "v1":
		return l.addKinds(entry, "", parts[1])
	case len(parts) > 3:
		return fmt.Errorf("%q has too many slashes: write several kinds as apps/v1/Deployment,DaemonSet, and divide entries by semicolons", entry)
	case isVersion.MatchString(parts[0]):
		return fmt.Errorf("%q begins with a version: write kinds of the core group as v1/ConfigMap,Secret, and those of another as apps/v1/Deployment", entry)
	case !isVersion.MatchString(parts[1]):
		return fmt.Errorf("%q has no version after the group: write it as apps/v1 or apps/v1/Deployment", entry)
	case len(parts) == 2:
		return l.addGroup(entry, parts[0])
	}
	if err := checkGroup(entry, parts[0]); err != nil {
		return err
	}
	return l.addKinds(entry, parts[0], parts[2])
}

func (l *kindList) addGroup(entry, group string) error {
	if err := checkGroup(entry, group); err != nil {
		return err
	}
	l.groups.Insert(group)
	l.named = append(l.named, Named{Entry: entry, GroupKind: schema.GroupKind{Group: group}})
	return nil
}

func checkGroup(entry, group string) error {
	if messages := validation.IsDNS1123Subdomain(group); len(messages) > 0 {
		return fmt.Errorf("%q has no name of a group: %s", entry, strings.Join(messages, "; "))
	}
	return nil
}

func (l *kindList) addKinds(entry, group, kinds string) error {
	for _, kind := range strings.Split(kinds, ",") {
		kind = strings.TrimSpace(kind)
		if !isKind.MatchString(kind) {
			return fmt.Errorf("%q in %q is no kind: write kinds as v1/ConfigMap,Secret or apps/v1/Deployment,DaemonSet", kind, entry)
		}
		l.kinds.Insert(schema.GroupKind{Group: group, Kind: kind})
		l.named = append(l.named, Named{Entry: entry, GroupKind: schema.GroupKind{Group: group, Kind: kind}})
	}
	return nil
}

// Named returns the groups and kinds that the limits name, in their order, for those who know which there are.
func (l *Limits) Named() []Named {
	var all []Named
	for flag, list := range map[string]*kindList{skippedFlag: l.skipped, allowedFlag: l.allowed} {
		if list == nil {
			continue
		}
		for _, named := range list.named {
			named.Flag = flag
			all = append(all, named)
		}
	}
	return all
}

// LimitKinds reports whether there is a kind that the limits keep from being placed.
func (l *Limits) LimitKinds() bool { return l != nil && (l.skipped != nil || l.allowed != nil) }

// Skips reports whether the limits keep the objects of a kind from being placed. What is never selected is not asked here.
func (l *Limits) Skips(gk schema.GroupKind) bool {
	return l != nil && (l.skipped != nil && l.skipped.has(gk) || l.allowed != nil && !l.allowed.has(gk))
}

// SkipsGroup reports whether the limits keep all kinds of a group from being placed.
func (l *Limits) SkipsGroup(group string) bool {
	if l == nil {
		return false
	}
	if l.skipped != nil && l.skipped.groups.Has(group) {
		return true
	}
	if l.allowed == nil || l.allowed.groups.Has(group) {
		return false
	}
	for gk := range l.allowed.kinds {
		if gk.Group == group {
			return false
		}
	}
	return true
}

// SkipsNamespace reports whether a Namespace, and what is in it, is not placed: it is reserved, or the limits keep it.
func (l *Limits) SkipsNamespace(namespace string) bool {
	return wellknown.IsReservedNamespace(namespace) || l != nil && l.namespaces.Has(namespace)
}

// Refuse returns why the limits keep an object from being placed, nil where they do not. Reserved namespaces are not asked about here.
func (l *Limits) Refuse(gk schema.GroupKind, namespace, name string) error {
	flag := ""
	switch {
	case l == nil:
		return nil
	case l.namespaces.Has(namespace), gk == NamespaceKind.GroupKind() && l.namespaces.Has(name):
		flag = "--skipped-propagating-namespaces"
	case !l.Skips(gk):
		return nil
	case l.allowed != nil:
		flag = allowedFlag
	default:
		flag = skippedFlag
	}
	return fmt.Errorf("%s %s is not allowed to propagate on this hub, because the server's flag %s excludes it: "+
		"take it out of the selection, or ask an administrator to change the flag", gk.Kind, wording.Key(namespace, name), flag)
}
