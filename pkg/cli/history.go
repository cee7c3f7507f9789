// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"github.com/stagegate/stagegate/pkg/view/terminal"
)

func (o *options) newHistory() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:               "history {csur/NAME | sur/NAME | NAME}",
		Short:             "Show what happened to a run, and who did what",
		Example:           `  kubectl stagegate history csur/example-run`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeOne(runs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.connect(); err != nil {
				return err
			}
			key, err := o.resolve(runs, args[0])
			if err != nil {
				return err
			}
			v, err := o.read(cmd.Context(), key)
			if err != nil {
				return err
			}
			if output != "" {
				return o.printObject(output, v)
			}
			for _, e := range v.History {
				o.print(terminal.Entry(e))
			}
			return nil
		},
	}
	addOutput(cmd, &output)
	return cmd
}
