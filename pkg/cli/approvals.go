// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/stagegate/stagegate/pkg/act"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/view"
)

type approvalsOptions struct {
	*options
	mine          bool
	allNamespaces bool
	output        string
}

func (o *options) newApprovals() *cobra.Command {
	a := &approvalsOptions{options: o}
	cmd := &cobra.Command{
		Use:   "approvals",
		Short: "List the approval requests that wait for a decision",
		Long: `List the approval requests that wait for a decision, the oldest first.

With --mine those only whose approval by you would count: the hub lets you approve, and neither the policy of the request nor an approval that you
have given speaks against it.`,
		Example: `  kubectl stagegate approvals -A --mine`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context()) },
	}
	addOutput(cmd, &a.output)
	cmd.Flags().BoolVar(&a.mine, "mine", false, "List those only whose approval by you would count.")
	cmd.Flags().BoolVarP(&a.allNamespaces, "all-namespaces", "A", false, "List those of all namespaces, and the cluster-scoped ones.")
	return cmd
}

func (a *approvalsOptions) run(ctx context.Context) error {
	if err := a.connect(); err != nil {
		return err
	}
	var found []v1beta1.ApprovalRequestObject
	err := a.inScopes(a.allNamespaces, func(namespace string) error {
		list, err := a.requestClient(namespace).List(ctx, metav1.ListOptions{})
		found = append(found, slices.DeleteFunc(list, func(r v1beta1.ApprovalRequestObject) bool { return !act.IsOpen(r) })...)
		return err
	})
	if err != nil {
		return err
	}
	if a.mine {
		if found, err = a.countingMine(ctx, found); err != nil {
			return err
		}
	}
	slices.SortStableFunc(found, func(x, y v1beta1.ApprovalRequestObject) int {
		return cmp.Or(x.GetCreationTimestamp().Compare(y.GetCreationTimestamp().Time), cmp.Compare(x.GetName(), y.GetName()))
	})
	list := &view.ApprovalList{TypeMeta: metav1.TypeMeta{APIVersion: view.APIVersion, Kind: view.KindApprovalList}, Items: []*view.Approval{}}
	for _, request := range found {
		list.Items = append(list.Items, view.BuildApproval(request))
	}
	if a.output != "" {
		return a.printObject(a.output, list)
	}
	if len(list.Items) == 0 {
		of := ""
		if a.mine {
			of = " of yours"
		}
		fmt.Fprintln(a.ErrOut, "No approval"+of+" is asked for"+a.where(a.allNamespaces)+".")
		return nil
	}
	return a.table(list.Items)
}

func (a *approvalsOptions) table(items []*view.Approval) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 3, ' ', 0)
	head := "NAME\tRUN\tSTAGE\tPLACEMENT\tSNAPSHOT\tCLUSTERS\tWAITS\tEXPIRES\tMISSING"
	if a.allNamespaces {
		head = "NAMESPACE\t" + head
	}
	fmt.Fprintln(w, head)
	for _, v := range items {
		expires := ""
		if v.Expires != nil {
			expires = "in " + duration.HumanDuration(max(v.Expires.Sub(a.now()), 0))
		}
		waits := ""
		if v.Created != nil {
			waits = duration.HumanDuration(max(a.now().Sub(v.Created.Time), 0))
		}
		cells := []string{v.Object.Name, v.Run, v.Stage, v.Placement, v.Snapshot, fmt.Sprint(v.ClusterCount), waits, cmp.Or(expires, "never"), v.Lacks}
		if a.allNamespaces {
			cells = append([]string{cmp.Or(v.Object.Namespace, "-")}, cells...)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// countingMine returns those requests whose approval by the user would count.
func (o *options) countingMine(ctx context.Context, asked []v1beta1.ApprovalRequestObject) (mine []v1beta1.ApprovalRequestObject, err error) {
	me, err := act.WhoAmI(ctx, o.kubernetes)
	if err != nil {
		return nil, err
	}
	access := act.NewAccess(o.kubernetes, o.clock)
	for _, request := range asked {
		why, err := access.Counts(ctx, me, request)
		if err != nil {
			return nil, err
		}
		if why == "" {
			mine = append(mine, request)
		}
	}
	return mine, nil
}

type decisionOptions struct {
	*options
	decision   act.Decision
	run, stage string
	message    string
	yes        bool
}

func (o *options) newDecision(of act.Decision) *cobra.Command {
	d := &decisionOptions{options: o, decision: of}
	verb := strings.ToUpper(of.Subresource[:1]) + of.Subresource[1:]
	cmd := &cobra.Command{
		Use:   of.Subresource + " [careq/NAME | areq/NAME | NAME]",
		Short: verb + " an approval request, which " + of.Effect,
		Long: verb + ` an approval request, which ` + of.Effect + `. At a terminal it shows what the run moves, and asks for the reason and whether to go on. The
decision is one on what was shown: where the request is another by then, the server refuses it.

In scripts give --yes and -m.`,
		Example:           fmt.Sprintf("  kubectl stagegate %[1]s careq/example-run-before-canary\n  kubectl stagegate %[1]s --run=sur/example-run -n team-a --yes -m 'CHG-1042'", of.Subresource),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeOne(requests),
		RunE:              func(cmd *cobra.Command, args []string) error { return d.decide(cmd.Context(), args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&d.run, "run", "", "The run that waits, in place of the name of the request.")
	flags.StringVar(&d.stage, "stage", "", "With --run: the stage that waits.")
	flags.StringVarP(&d.message, "message", "m", "", "The reason, which is recorded with the decision, such as a change number.")
	flags.BoolVarP(&d.yes, "yes", "y", false, "Do not ask.")
	return cmd
}

func (d *decisionOptions) decide(ctx context.Context, args []string) error {
	if err := d.connect(); err != nil {
		return err
	}
	request, err := d.find(ctx, args)
	if err != nil {
		return err
	}
	v := view.BuildApproval(request)
	name := requests.Name(keyOf(request))
	if v.Decision != "" {
		by := v.Decisions[len(v.Decisions)-1]
		return fmt.Errorf("%s is %s by %s: there is nothing to decide", name, strings.ToLower(string(v.Decision)), by.User)
	}
	asks := d.terminal.asks()
	if !d.yes && !asks {
		return errors.New("there is nobody to ask: give --yes, and the reason with -m")
	}
	if !d.yes {
		d.print(v.Question()...)
	}
	reason, err := d.reason(d.message, "the decision")
	if err != nil {
		return err
	}
	if !d.yes {
		if err := d.confirm(strings.ToUpper(d.decision.Subresource[:1]) + d.decision.Subresource[1:] + "?"); err != nil {
			return err
		}
	}
	missing, err := act.Decide(ctx, d.stagegate.PlacementV1beta1(), d.decision, act.Of(request), reason)
	if err != nil {
		return err
	}
	text := name + " " + d.decision.Done
	if missing != "" {
		text += ": the request has " + missing
	}
	d.print(view.Clean(text))
	return nil
}

// find returns the request that the user names: by its name, or by the run that waits.
func (d *decisionOptions) find(ctx context.Context, args []string) (v1beta1.ApprovalRequestObject, error) {
	switch {
	case len(args) == 1 && d.run != "":
		return nil, errors.New("give the name of the request, or --run")
	case len(args) == 1:
		key, err := d.resolve(requests, args[0])
		if err != nil {
			return nil, err
		}
		return d.requestClient(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	case d.run == "":
		return nil, errors.New("give the name of the request, as kubectl stagegate approvals lists it, or --run")
	}
	key, err := d.resolve(runs, d.run)
	if err != nil {
		return nil, err
	}
	asked, err := d.requestsOf(ctx, key)
	if err != nil {
		return nil, err
	}
	asked = slices.DeleteFunc(asked, func(r v1beta1.ApprovalRequestObject) bool {
		return !act.IsOpen(r) || r.RequestSpec().TargetUpdateRun != key.Name || d.stage != "" && view.BuildApproval(r).Stage != d.stage
	})
	switch len(asked) {
	case 1:
		return asked[0], nil
	case 0:
		return nil, fmt.Errorf("%s waits for no approval: see kubectl stagegate status %s", runs.Name(key), runs.Name(key))
	}
	var names []string
	for _, r := range asked {
		names = append(names, requests.Name(types.NamespacedName{Namespace: r.GetNamespace(), Name: r.GetName()}))
	}
	return nil, fmt.Errorf("%s waits for %d approvals: name one of %s", runs.Name(key), len(asked), wording.List(names))
}
