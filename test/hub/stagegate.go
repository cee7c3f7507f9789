// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	serverName      = "stagegate-apiserver"
	serverNamespace = "fleet-system"
	serverHost      = serverName + "." + serverNamespace + ".svc"

	registrationTimeout = time.Minute
	tokenLifetime       = 365 * 24 * time.Hour

	// startedAnnotation says which process the APIService was last registered for.
	startedAnnotation = "test-hub/server-started"
)

var (
	apiServiceKind     = schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}
	apiServiceResource = apiServiceKind.GroupVersion().WithResource("apiservices")
)

// ensureServer brings stagegate-apiserver up with no more rights than its manifests give it, and registers it with the hub.
func (e *Environment) ensureServer(ctx context.Context) error {
	config, err := e.RESTConfig(HubName)
	if err != nil {
		return err
	}
	hub, err := newClients(config)
	if err != nil {
		return err
	}
	manifests, err := serverManifests(e.root)
	if err != nil {
		return err
	}
	if err := hub.apply(ctx, manifests...); err != nil {
		return err
	}
	if err := e.ensureServerCredential(ctx, hub.kube); err != nil {
		return err
	}
	ca, err := ensureAuthority(e.pkiDir(HubName), "ca")
	if err != nil {
		return err
	}
	serving := leaf{commonName: serverHost, names: []string{serverHost, "localhost"}}
	if err := ca.ensure(e.pki(HubName, serverName), serving); err != nil {
		return err
	}
	if e.service != nil {
		err = e.ensureReplicas(ctx, ca)
	} else {
		err = e.ensureSingle(ctx, ca)
	}
	if err != nil {
		return err
	}
	return e.register(ctx, hub)
}

// ensureServerCredential writes the kubeconfig of the server's ServiceAccount unless it is there.
func (e *Environment) ensureServerCredential(ctx context.Context, hub kubernetes.Interface) error {
	path := e.componentConfig(serverName)
	if exists(path) {
		return nil
	}
	token, err := mintToken(ctx, hub, serverName)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(e.pki(HubName, "ca.crt"))
	if err != nil {
		return err
	}
	return writeKubeconfig(path, HubName, e.server(HubName), ca, serverName, clientcmdapi.AuthInfo{Token: token})
}

// mintToken asks for a token of a ServiceAccount in the server's namespace.
func mintToken(ctx context.Context, client kubernetes.Interface, serviceAccount string) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: new(int64(tokenLifetime.Seconds())),
	}}
	response, err := client.CoreV1().ServiceAccounts(serverNamespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of ServiceAccount %s/%s: %w", serverNamespace, serviceAccount, err)
	}
	return response.Status.Token, nil
}

func (e *Environment) stagegate(ca *authority) process {
	client := serverClient(ca)
	return process{
		name: serverName,
		path: e.bin(serverName),
		args: append(append(e.connection(serverName),
			"--tls-cert-file="+e.pki(HubName, serverName+".crt"),
			"--tls-private-key-file="+e.pki(HubName, serverName+".key"),
			"--data-dir="+e.dataDir(serverName),
		), e.state.ServerFlags...),
		ready: func(ctx context.Context) error { return probe(ctx, client, e.ServerURL()+"/readyz") },
	}
}

// connection returns the flags that a pod needs none for: its ServiceAccount and its address.
func (e *Environment) connection(listener string) []string {
	kubeconfig := e.componentConfig(serverName)
	return append(e.listening(listener),
		"--kubeconfig="+kubeconfig,
		"--authentication-kubeconfig="+kubeconfig,
		"--authorization-kubeconfig="+kubeconfig,
	)
}

// listening returns the flags of an address, since all processes here share one network.
func (e *Environment) listening(listener string) []string {
	return []string{"--bind-address=" + loopback, fmt.Sprintf("--secure-port=%d", e.state.Ports[listener])}
}

func serverClient(ca *authority) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
}

// ServerURL is where stagegate-apiserver or the Service before it listens; through the hub is the usual way to it.
func (e *Environment) ServerURL() string { return "https://" + e.address(serverName) }

// register tells the hub about the server, and returns when the hub serves its resources.
func (e *Environment) register(ctx context.Context, hub *clients) error {
	// Nobody tells the hub that one of several replicas has come back.
	started := "replicas"
	if e.service == nil {
		record, err := readPIDFile(e.pidFile(serverName))
		if err != nil {
			return err
		}
		started = record.Started
	}
	ca, err := os.ReadFile(e.pki(HubName, "ca.crt"))
	if err != nil {
		return err
	}
	// An external name is resolved by the hub itself: it takes neither endpoints nor a kube-proxy.
	objs := []*unstructured.Unstructured{newObject("v1", "Service", serverName, map[string]any{
		"spec": map[string]any{"type": "ExternalName", "externalName": "localhost"},
	})}
	served, err := servedVersions(e.root)
	if err != nil {
		return err
	}
	for _, v := range served {
		apiService := newObject(apiServiceKind.GroupVersion().String(), apiServiceKind.Kind, apiServiceName(v.gv), map[string]any{
			"spec": map[string]any{
				"group":                v.gv.Group,
				"version":              v.gv.Version,
				"groupPriorityMinimum": int64(1000),
				"versionPriority":      v.priority,
				"caBundle":             base64.StdEncoding.EncodeToString(ca),
				"service": map[string]any{
					"name":      serverName,
					"namespace": serverNamespace,
					"port":      int64(e.state.Ports[serverName]),
				},
			},
		})
		// While a server is down the hub asks it less and less often, up to 30 s apart; a change of the object makes it
		// ask at once.
		apiService.SetAnnotations(map[string]string{startedAnnotation: started})
		objs = append(objs, apiService)
	}
	if err := hub.apply(ctx, objs...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, registrationTimeout)
	defer cancel()
	waiting, waitCtx := errgroup.WithContext(ctx)
	for _, v := range served {
		waiting.Go(func() error {
			return waitFor(waitCtx, hub.dynamic.Resource(apiServiceResource), apiServiceKind.Kind, apiServiceName(v.gv), "Available")
		})
	}
	if err := waiting.Wait(); err != nil {
		return err
	}
	return waitServed(ctx, hub.kube, served)
}

// waitServed returns when the hub's discovery lists the served versions, without which kubectl does not know the kinds, and
// the hub passes requests for them on. Both follow the availability of an APIService by a moment, and there is no event for it.
func waitServed(ctx context.Context, hub kubernetes.Interface, served []servedVersion) error {
	var missing []string
	err := wait.PollUntilContextCancel(ctx, readyInterval, true, func(context.Context) (bool, error) {
		// The error names groups that did not answer; the lists report whether ours did.
		_, lists, _ := discovery.ServerGroupsAndResources(hub.Discovery())
		missing = nil
		for _, v := range served {
			gv := v.gv.String()
			listed := slices.ContainsFunc(lists, func(l *metav1.APIResourceList) bool { return l.GroupVersion == gv })
			// The lists above come from a cache of the hub's; this is asked of the server itself.
			if _, err := hub.Discovery().ServerResourcesForGroupVersion(gv); err != nil || !listed {
				missing = append(missing, gv)
			}
		}
		return len(missing) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the hub to serve %s: %w", strings.Join(missing, ", "), err)
	}
	return nil
}

// servedVersion is a version of an API group that the server serves.
type servedVersion struct {
	gv       schema.GroupVersion
	priority int64
}

// servedVersions returns what the server of a repository serves, from the APIServices that users deploy.
func servedVersions(root string) ([]servedVersion, error) {
	apiServices, err := readManifest(filepath.Join(root, "artifacts", "deploy", "base", "apiservices.yaml"))
	if err != nil {
		return nil, err
	}
	var served []servedVersion
	for _, apiService := range apiServices {
		group, _, _ := unstructured.NestedString(apiService.Object, "spec", "group")
		version, _, _ := unstructured.NestedString(apiService.Object, "spec", "version")
		// YAML has numbers, which decode as floats.
		priority, _, _ := unstructured.NestedFieldNoCopy(apiService.Object, "spec", "versionPriority")
		number, _ := priority.(float64)
		if group == "" || version == "" || number == 0 {
			return nil, fmt.Errorf("APIService %s has no group, version or priority", apiService.GetName())
		}
		served = append(served, servedVersion{schema.GroupVersion{Group: group, Version: version}, int64(number)})
	}
	return served, nil
}

func apiServiceName(gv schema.GroupVersion) string { return gv.Version + "." + gv.Group }

func newObject(apiVersion, kind, name string, content map[string]any) *unstructured.Unstructured {
	if content == nil {
		content = map[string]any{}
	}
	obj := &unstructured.Unstructured{Object: content}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetName(name)
	return obj
}

// runsController reports whether stagegate-apiserver runs a controller, given its flags: --controllers lists controllers, * for all others and
// -name for all but that one.
func runsController(flags []string, controller string) bool {
	controllers := []string{"*"}
	for i, flag := range flags {
		name, value, hasValue := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		if name != "controllers" {
			continue
		}
		if !hasValue && i+1 < len(flags) {
			value = flags[i+1]
		}
		controllers = strings.Split(value, ",")
	}
	if slices.Contains(controllers, "-"+controller) {
		return false
	}
	return slices.Contains(controllers, controller) || slices.Contains(controllers, "*")
}
