// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	clusterv1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1"
	placementv1 "github.com/stagegate/stagegate/pkg/apis/placement/v1"
	clusterclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/cluster/v1"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1"
)

// ClusterV1 implements versioned.Interface.
func (c *clientset) ClusterV1() clusterclient.ClusterV1Interface {
	return clusterclient.New(c.clients[clusterv1.SchemeGroupVersion])
}

// PlacementV1 implements versioned.Interface.
func (c *clientset) PlacementV1() placementclient.PlacementV1Interface {
	return placementclient.New(c.clients[placementv1.SchemeGroupVersion])
}
