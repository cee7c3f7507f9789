// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/client/scoped"
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
	found, err := view.DifferencesOf(snapshots, from, to)
	if err != nil {
		return fmt.Errorf("%s: %w", placements.Name(key), err)
	}
	if len(found) == 0 {
		fmt.Fprintf(o.ErrOut, "Snapshots %s and %s have the same content.\n", from, to)
	}
	o.print(lines(found)...)
	return nil
}

// lines returns one line for each object that one side lacks, and for each field in which an object differs.
func lines(found []view.Difference) (lines []string) {
	for _, d := range found {
		lines = append(lines, d.Sign()+" "+d.Object)
		for _, f := range d.Fields {
			lines = append(lines, fmt.Sprintf("    %s: %s -> %s", f.Path, orNone(f.Before), orNone(f.After)))
		}
	}
	return lines
}

func orNone(value string) string {
	if strings.TrimSpace(value) == "" {
		return "<none>"
	}
	return value
}
