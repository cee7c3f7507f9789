// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stagegate/stagegate/pkg/version"
	"github.com/stagegate/stagegate/pkg/view"
)

func (o *options) newVersion() *cobra.Command {
	var client bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of the server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.print("Client: " + version.String())
			if client {
				return nil
			}
			if err := o.connect(); err != nil {
				return err
			}
			served, err := o.serverVersion(cmd.Context())
			if err != nil {
				return fmt.Errorf("asking the server for its version: %w", err)
			}
			o.print("Server: " + view.Clean(served))
			return nil
		},
	}
	cmd.Flags().BoolVar(&client, "client", false, "Print the version of this program only, and ask no server.")
	return cmd
}

// versionIn returns the version in an OpenAPI document.
func versionIn(data []byte) (string, error) {
	var document struct {
		Info struct {
			Title, Version string
		}
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return "", err
	}
	return document.Info.Title + " " + document.Info.Version, nil
}
