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
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/approval"
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
		found = append(found, slices.DeleteFunc(list, func(r v1beta1.ApprovalRequestObject) bool { return !isOpen(r) })...)
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

// isOpen reports whether a request can still be decided.
func isOpen(request v1beta1.ApprovalRequestObject) bool {
	return request.GetDeletionTimestamp() == nil && approval.Of(request).Closing() == nil
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
	review, err := o.kubernetes.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the hub who you are: %w", err)
	}
	info := review.Status.UserInfo
	me := v1beta1.DecisionUser{Username: info.Username, UID: info.UID, Groups: info.Groups}
	// Whether all of a namespace may be approved is asked once.
	everywhere := map[string]bool{}
	for _, request := range asked {
		tally := approval.Of(request)
		if tally.Refuses(me) != "" || tally.By(me, v1beta1.DecisionApproved) != nil {
			continue
		}
		namespace := request.GetNamespace()
		all, known := everywhere[namespace]
		if !known {
			if all, err = o.mayApprove(ctx, namespace, ""); err != nil {
				return nil, err
			}
			everywhere[namespace] = all
		}
		allowed := all
		if !all {
			if allowed, err = o.mayApprove(ctx, namespace, request.GetName()); err != nil {
				return nil, err
			}
		}
		if allowed {
			mine = append(mine, request)
		}
	}
	return mine, nil
}

// mayApprove asks the hub whether the user may approve a request, or all of a namespace. The server asks for the verb update, whichever way
// a decision comes in; this one comes by create.
func (o *options) mayApprove(ctx context.Context, namespace, name string) (bool, error) {
	for _, verb := range []string{"update", "create"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: v1beta1.GroupName, Resource: requests.resource(namespace), Subresource: "approve", Name: name,
			},
		}}
		answer, err := o.kubernetes.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return false, fmt.Errorf("asking the hub what you may approve: %w", err)
		}
		if !answer.Status.Allowed {
			return false, nil
		}
	}
	return true, nil
}

// decision is approve or reject.
type decision struct {
	subresource, done, effect string
}

var (
	approve = decision{"approve", "approved", "lets the run go on"}
	reject  = decision{"reject", "rejected", "ends the run"}
)

type decisionOptions struct {
	*options
	decision   decision
	run, stage string
	message    string
	yes        bool
}

func (o *options) newDecision(of decision) *cobra.Command {
	d := &decisionOptions{options: o, decision: of}
	verb := strings.ToUpper(of.subresource[:1]) + of.subresource[1:]
	cmd := &cobra.Command{
		Use:   of.subresource + " [careq/NAME | areq/NAME | NAME]",
		Short: verb + " an approval request, which " + of.effect,
		Long: verb + ` an approval request, which ` + of.effect + `. At a terminal it shows what the run moves, and asks for the reason and whether to go on. The
decision is one on what was shown: where the request is another by then, the server refuses it.

In scripts give --yes and -m.`,
		Example:           fmt.Sprintf("  kubectl stagegate %[1]s careq/example-run-before-canary\n  kubectl stagegate %[1]s --run=sur/example-run -n team-a --yes -m 'CHG-1042'", of.subresource),
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
	name := requests.name(keyOf(request))
	if v.Decision != "" {
		by := v.Decisions[len(v.Decisions)-1]
		return fmt.Errorf("%s is %s by %s: there is nothing to decide", name, strings.ToLower(string(v.Decision)), by.User)
	}
	asks := d.terminal.asks()
	if !d.yes && !asks {
		return errors.New("there is nobody to ask: give --yes, and the reason with -m")
	}
	if !d.yes {
		d.print(d.question(v)...)
	}
	reason, err := d.reason(d.message, "the decision")
	if err != nil {
		return err
	}
	if !d.yes {
		if err := d.confirm(strings.ToUpper(d.decision.subresource[:1]) + d.decision.subresource[1:] + "?"); err != nil {
			return err
		}
	}
	body := &v1beta1.Approval{
		// What is decided is what was shown.
		ObjectMeta: metav1.ObjectMeta{Name: v.Object.Name, UID: v.Object.UID, ResourceVersion: v.ResourceVersion},
		Spec:       v1beta1.ApprovalSpec{Comment: reason},
	}
	answer := &v1beta1.Approval{}
	err = d.stagegate.PlacementV1beta1().RESTClient().Post().NamespaceIfScoped(v.Object.Namespace, v.Object.Namespace != "").
		Resource(requests.resource(v.Object.Namespace)).Name(v.Object.Name).SubResource(d.decision.subresource).Body(body).Do(ctx).Into(answer)
	if isConflict(err) && strings.Contains(err.Error(), "in the precondition") {
		return fmt.Errorf("%s has changed since it was read, and nothing was decided: look at it again (%w)", name, err)
	}
	if err != nil {
		return err
	}
	text := name + " " + d.decision.done
	if answer.Status.Missing != "" {
		text += ": the request has " + answer.Status.Missing
	}
	d.print(view.Clean(text))
	return nil
}

// question tells what a decision is about.
func (d *decisionOptions) question(v *view.Approval) []string {
	when := "after"
	if v.Before {
		when = "before"
	}
	lines := []string{fmt.Sprintf("Run %s waits for an approval %s stage %s.", wording.Key(v.Object.Namespace, v.Run), when, v.Stage)}
	moves := wording.Count(v.ClusterCount, "cluster")
	switch {
	case v.Placement == "":
	case v.Snapshot == "":
		lines = append(lines, fmt.Sprintf("The stage removes what %s places from %s:", wording.Placement(v.Object.Namespace, v.Placement), moves))
	case v.Before:
		lines = append(lines, fmt.Sprintf("The stage moves %s to snapshot %s of %s:", moves, v.Snapshot, wording.Placement(v.Object.Namespace, v.Placement)))
	default:
		lines = append(lines, fmt.Sprintf("The stage has moved %s to snapshot %s of %s:", moves, v.Snapshot, wording.Placement(v.Object.Namespace, v.Placement)))
	}
	if len(v.Clusters) > 0 {
		shown := wording.First(v.Clusters[:min(len(v.Clusters), view.MaxListed)], view.MaxListed)
		if more := v.ClusterCount - min(len(v.Clusters), view.MaxListed); more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, "  "+shown)
	}
	if v.Requester != "" {
		lines = append(lines, v.Requester+" has created the run.")
	}
	for _, by := range v.Decisions {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s has %s: %s", by.User, strings.ToLower(string(by.Decision)), by.Comment), ": "))
	}
	if v.Lacks != "" && v.Lacks != "approval" {
		lines = append(lines, "It has "+v.Lacks+".")
	}
	return lines
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
		return !isOpen(r) || r.RequestSpec().TargetUpdateRun != key.Name || d.stage != "" && view.BuildApproval(r).Stage != d.stage
	})
	switch len(asked) {
	case 1:
		return asked[0], nil
	case 0:
		return nil, fmt.Errorf("%s waits for no approval: see kubectl stagegate status %s", runs.name(key), runs.name(key))
	}
	var names []string
	for _, r := range asked {
		names = append(names, requests.name(types.NamespacedName{Namespace: r.GetNamespace(), Name: r.GetName()}))
	}
	return nil, fmt.Errorf("%s waits for %d approvals: name one of %s", runs.name(key), len(asked), wording.List(names))
}
