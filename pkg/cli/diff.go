// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	"github.com/stagegate/stagegate/pkg/rules/difference"
	"github.com/stagegate/stagegate/pkg/rules/envelope"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
	"github.com/stagegate/stagegate/pkg/rules/snapshot"
	"github.com/stagegate/stagegate/pkg/view"
)

func (o *options) newDiff() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "diff {crp/NAME | rp/NAME | NAME} --from=INDEX --to=INDEX",
		Short: "Show how two versions of a placement differ",
		Long: `Show which objects two resource snapshots of a placement have not in common, and in which fields the others differ. No value of a Secret is
printed. You need to read resource snapshots, which have the manifests.`,
		Example:           `  kubectl stagegate diff crp/example-placement --from=0 --to=1`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeOne(placements),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" || to == "" {
				return errors.New("give both versions with --from and --to")
			}
			if err := o.connect(); err != nil {
				return err
			}
			return o.diff(cmd.Context(), args[0], from, to)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "The index of the earlier resource snapshot.")
	cmd.Flags().StringVar(&to, "to", "", "The index of the later one.")
	return cmd
}

func (o *options) diff(ctx context.Context, argument, from, to string) error {
	key, err := o.resolve(placements, argument)
	if err != nil {
		return err
	}
	snapshots, err := scoped.SnapshotClient(o.stagegate.PlacementV1beta1(), key.Namespace).
		List(ctx, metav1.ListOptions{LabelSelector: wellknown.ParentPlacementLabel + "=" + key.Name})
	if err != nil {
		return err
	}
	before, err := contentOf(snapshots, from)
	if err != nil {
		return fmt.Errorf("%s: %w", placements.name(key), err)
	}
	after, err := contentOf(snapshots, to)
	if err != nil {
		return fmt.Errorf("%s: %w", placements.name(key), err)
	}
	lines, err := differences(before, after)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		fmt.Fprintf(o.ErrOut, "Snapshots %s and %s have the same content.\n", from, to)
	}
	o.print(lines...)
	return nil
}

func contentOf(snapshots []v1beta1.ResourceSnapshotObject, index string) ([]snapshot.Resource, error) {
	master := snapshot.Master(snapshots, index)
	if master == nil {
		var there []string
		for _, s := range snapshots {
			if i := s.GetLabels()[wellknown.ResourceIndexLabel]; i != "" && !slices.Contains(there, i) {
				there = append(there, i)
			}
		}
		if len(there) == 0 {
			return nil, fmt.Errorf("there is no resource snapshot %s", index)
		}
		return nil, fmt.Errorf("there is no resource snapshot %s: there are %s", index, wording.List(there))
	}
	parts, want, err := snapshot.Parts(master, snapshots)
	if err != nil {
		return nil, err
	}
	if len(parts) != want {
		return nil, fmt.Errorf("resource snapshot %s has %d of %d parts: it is being made or deleted", index, len(parts), want)
	}
	return snapshot.Resources(snapshots, index), nil
}

// differences returns one line for each object that one side lacks, and for each field in which an object differs.
func differences(before, after []snapshot.Resource) ([]string, error) {
	// What is the same object may have another version.
	type identity struct{ group, kind, namespace, name string }
	of := func(r snapshot.Resource) identity {
		return identity{r.ID.Group, r.ID.Kind, r.ID.Namespace, r.ID.Name}
	}
	name := func(r snapshot.Resource) string {
		return view.Clean(r.ID.Kind + " " + wording.Key(r.ID.Namespace, r.ID.Name))
	}
	was := map[identity]snapshot.Resource{}
	for _, r := range before {
		was[of(r)] = r
	}
	var lines []string
	for _, is := range after {
		old, found := was[of(is)]
		delete(was, of(is))
		if !found {
			lines = append(lines, "+ "+name(is))
			continue
		}
		var oldObject, object map[string]any
		if err := errors.Join(json.Unmarshal(old.Manifest, &oldObject), json.Unmarshal(is.Manifest, &object)); err != nil {
			return nil, fmt.Errorf("%s: %w", name(is), err)
		}
		// An envelope may have Secrets in it.
		secret := secretvalue.IsSecret(schema.GroupKind{Group: is.ID.Group, Kind: is.ID.Kind}) || envelope.Is(is.ID)
		differ := difference.Between(oldObject, object, secret)
		if len(differ) == 0 {
			continue
		}
		lines = append(lines, "~ "+name(is))
		for _, d := range differ {
			lines = append(lines, view.Clean(fmt.Sprintf("    %s: %s -> %s", d.Path, orNone(d.ValueInMember), orNone(d.ValueInHub))))
		}
	}
	for _, r := range before {
		if _, gone := was[of(r)]; gone {
			lines = append(lines, "- "+name(r))
		}
	}
	return lines, nil
}

func orNone(value string) string {
	if strings.TrimSpace(value) == "" {
		return "<none>"
	}
	return value
}
