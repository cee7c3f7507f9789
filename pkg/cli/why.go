// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
	"github.com/stagegate/stagegate/pkg/view/terminal"
)

// members is what a cluster is named as.
var members = []string{"memberclusters", "membercluster", "member", "cluster"}

func (o *options) newWhy() *cobra.Command {
	return &cobra.Command{
		Use:   "why {csur/NAME | sur/NAME | cluster/NAME | NAME}",
		Short: "Tell what holds a run or a cluster up, down to the object on the member",
		Long: `Tell what a run waits for; of each cluster that failed or is being updated the objects which the member has trouble with; and the commands that
would help. Of a cluster it shows the conditions of its membership, and which runs wait for it.`,
		Example: `  kubectl stagegate why csur/example-run
  kubectl stagegate why cluster/paris`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeOne(runs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.connect(); err != nil {
				return err
			}
			if kind, name, found := strings.Cut(args[0], "/"); found && slices.Contains(members, strings.ToLower(kind)) {
				return o.whyCluster(cmd.Context(), name)
			}
			return o.whyRun(cmd.Context(), args[0])
		},
	}
}

func (o *options) whyRun(ctx context.Context, argument string) error {
	key, err := o.resolve(runs, argument)
	if err != nil {
		return err
	}
	v, err := o.read(ctx, key)
	if err != nil {
		return err
	}
	first := runs.Name(key) + " is " + v.State
	if v.WaitingFor != "" {
		first += " and waits for " + v.WaitingFor
	}
	o.print(first)
	if v.Message != "" {
		o.print("  " + v.Message)
	}
	placement, err := scoped.PlacementClient(o.stagegate.PlacementV1beta1(), key.Namespace).Get(ctx, v.Placement, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return err
	}
	for i := range v.Stages {
		s := &v.Stages[i]
		for _, c := range s.Listed {
			o.print(fmt.Sprintf("cluster %s (stage %s): %s", c.Name, s.Name, c.State))
			troubles := []string{}
			if err == nil {
				troubles = view.Troubles(placement.PlacementStatus(), c.Name)
			}
			if len(troubles) == 0 && c.Message != "" {
				troubles = []string{c.Message}
			}
			for _, t := range troubles {
				o.print("  " + t)
			}
		}
		if s.Unlisted > 0 {
			o.print(fmt.Sprintf("and %d more in stage %s", s.Unlisted, s.Name))
		}
	}
	if lines := hints(v); len(lines) > 0 {
		o.print(terminal.Hints(lines, o.drawing())...)
	}
	return nil
}

func (o *options) whyCluster(ctx context.Context, name string) error {
	member, err := o.stagegate.ClusterV1beta1().MemberClusters().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, conditionType := range []string{clusterv1beta1.ConditionTypeMemberClusterJoined, clusterv1beta1.ConditionTypeMemberClusterHealthy} {
		c := meta.FindStatusCondition(member.Status.Conditions, conditionType)
		if c == nil {
			o.print(conditionType + " is not known yet")
			continue
		}
		o.print(view.Clean(fmt.Sprintf("%s is %s: %s: %s", c.Type, c.Status, c.Reason, c.Message)))
	}
	return o.inScopes(true, func(namespace string) error {
		found, err := o.runClient(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, run := range found {
			if runrules.IsOver(run.RunStatus()) {
				continue
			}
			stage, cluster := runrules.FindCluster(run.RunStatus(), name)
			if cluster == nil || !runrules.IsInFlight(cluster) && !runrules.HasFailed(cluster) && cluster.Message == "" {
				continue
			}
			v := view.Build(run, nil, o.now())
			o.print(view.Clean(fmt.Sprintf("%s is %s, and has the cluster in stage %s: %s", runs.Name(keyOf(run)), v.State, stage.StageName, cluster.Message)))
			o.print("  kubectl stagegate why " + runs.Name(keyOf(run)))
		}
		return nil
	})
}

// serverVersion returns the version of the server, as its OpenAPI document has it: every user may read that.
func (o *options) serverVersion(ctx context.Context) (string, error) {
	data, err := o.kubernetes.Discovery().RESTClient().Get().AbsPath("/openapi/v3/apis/placement.kubernetes-fleet.io/v1").Do(ctx).Raw()
	if err != nil {
		return "", err
	}
	return versionIn(data)
}
