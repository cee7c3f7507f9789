// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/act"
)

// completionTimeout is how long a shell waits for names.
const completionTimeout = 3 * time.Second

// completeOne completes the one object that a command takes, of either scope.
func (o *options) completeOne(n act.Noun) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 || o.connect() != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		parent := cmd.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completionTimeout)
		defer cancel()
		namespace, _, err := o.flags.ToRawKubeConfigLoader().Namespace()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []cobra.Completion
		for _, scope := range []string{"", namespace} {
			list := &metav1.PartialObjectMetadataList{}
			err := o.stagegate.PlacementV1beta1().RESTClient().Get().NamespaceIfScoped(scope, scope != "").Resource(n.Resource(scope)).
				SetHeader("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").Do(ctx).Into(list)
			if err != nil {
				// Who may not list those may list the others.
				continue
			}
			for _, item := range list.Items {
				if name := n.Short(scope) + "/" + item.Name; strings.HasPrefix(name, typed) {
					found = append(found, name)
				}
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
