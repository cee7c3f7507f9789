// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package testserver

import (
	"cmp"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/apiserver/pkg/authentication/group"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"
	"k8s.io/client-go/kubernetes"
)

// beFair gives the hub the priority levels and flow schemas that every hub has, and has the server go by them.
func beFair(t testing.TB, config *genericapiserver.RecommendedConfig, hub kubernetes.Interface, seats int) {
	t.Helper()
	api := hub.FlowcontrolV1()
	for _, level := range slices.Concat(bootstrap.MandatoryPriorityLevelConfigurations, bootstrap.SuggestedPriorityLevelConfigurations) {
		if _, err := api.PriorityLevelConfigurations().Create(t.Context(), level.DeepCopy(), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, schema := range slices.Concat(bootstrap.MandatoryFlowSchemas, bootstrap.SuggestedFlowSchemas) {
		if _, err := api.FlowSchemas().Create(t.Context(), schema.DeepCopy(), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	seats = cmp.Or(seats, config.MaxRequestsInFlight+config.MaxMutatingRequestsInFlight)
	config.FlowControl = utilflowcontrol.New(config.SharedInformerFactory, api, seats)
	// A flow schema of every hub takes all who are authenticated.
	config.Authentication.Authenticator = group.NewAuthenticatedGroupAdder(config.Authentication.Authenticator)
}
