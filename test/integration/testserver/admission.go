// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package testserver

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/admission"
	"github.com/stagegate/stagegate/pkg/apiserver"
)

// NewHub is a hub for admission, made up: whoever asks for a namespace is told that it is there. One that is created in it is known
// without asking, as every namespace of a real hub soon is; any other costs the server the 50 ms that it gives a new one to show up.
func NewHub() kubernetes.Interface {
	hub := fake.NewClientset()
	hub.PrependReactor("get", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return true, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: action.(clienttesting.GetAction).GetName()},
			Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
		}, nil
	})
	return hub
}

// applyAdmission runs the production's admission against a hub that has neither policies nor webhooks.
func applyAdmission(server *apiserver.Options, config *genericapiserver.RecommendedConfig, hub kubernetes.Interface, disabled []string) error {
	config.SharedInformerFactory = informers.NewSharedInformerFactory(hub, 0)
	initializers, err := server.AdmissionInitializers(config)
	if err != nil {
		return err
	}
	options := genericoptions.NewAdmissionOptions()
	admission.Configure(options)
	// It asks the hub for its OpenAPI schema, which the fake one does not have.
	options.DisablePlugins = append([]string{mutating.PluginName}, disabled...)
	return options.ApplyTo(&config.Config, config.SharedInformerFactory, hub, dynamicfake.NewSimpleDynamicClient(scheme.Scheme),
		utilfeature.DefaultFeatureGate, config.EffectiveVersion, initializers...)
}
