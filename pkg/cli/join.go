// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	memberagent "github.com/stagegate/stagegate/artifacts/member-agent"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/view"
)

// memberIdentity is the ServiceAccount on a member, in the namespace wellknown.SystemNamespace, that the server is there, and its Secret.
const memberIdentity = "stagegate"

type joinOptions struct {
	*options
	context, kubeconfig, server string
	clusterRoles                []string
	labels                      string
	timeout                     time.Duration

	pull      bool
	hubServer string
	image     string
}

func (o *options) newJoin() *cobra.Command {
	j := &joinOptions{options: o}
	cmd := &cobra.Command{
		Use:   "join NAME {--member-context=CONTEXT | --member-kubeconfig=FILE | --pull}",
		Short: "Have a cluster join the fleet",
		Long: `Have a cluster join the fleet as a member.

With --member-context or --member-kubeconfig the hub reaches the member. On the member this creates a ServiceAccount fleet-system/stagegate with the
least rights that the server needs there, and a token for it; on the hub the Secret with that token, and the MemberCluster. Your own credential is
used to create them, and never copied. To place anything the server needs rights on it: give a ClusterRole of the member that has them with
--cluster-role; in most fleets that is cluster-admin.

With --pull the member reaches the hub: this creates the MemberCluster, and prints the manifests of the agent. A token for the hub, good for an hour,
is in them: keep them to yourself, and apply them to the member.

Nothing that is there already is changed.`,
		Example: `  kubectl stagegate join paris --member-context=paris --cluster-role=cluster-admin --labels=environment=prod
  (umask 077; kubectl stagegate join oslo --pull --hub-server=https://hub.example.com:6443 --image=registry.example.com/stagegate-member-agent:v0.1.0 > oslo.yaml)`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := j.connect(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), j.timeout)
			defer cancel()
			pushes := j.context != "" || j.kubeconfig != ""
			switch {
			case pushes == j.pull:
				return errors.New("say how to reach the member, with --member-context or --member-kubeconfig, or that it reaches the hub, with --pull")
			case j.pull:
				return j.joinPulled(ctx, args[0])
			}
			return j.joinPushed(ctx, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&j.context, "member-context", "", "The context of the member, as its administrator.")
	flags.StringVar(&j.kubeconfig, "member-kubeconfig", "", "The kubeconfig of the member, as its administrator.")
	flags.StringVar(&j.server, "member-server", "", "The address of the member as the hub sees it, if that is not the one of its kubeconfig.")
	flags.StringSliceVar(&j.clusterRoles, "cluster-role", nil, "ClusterRoles of the member to give to the server there, with rights on what is placed.")
	flags.StringVar(&j.labels, "labels", "", "Labels of the member, such as environment=prod,order=1.")
	flags.DurationVar(&j.timeout, "timeout", 2*time.Minute, "How long to wait.")
	flags.BoolVar(&j.pull, "pull", false, "The member reaches the hub, by an agent.")
	flags.StringVar(&j.hubServer, "hub-server", "", "With --pull: the address of the hub as the member sees it, if that is not the one of your kubeconfig.")
	flags.StringVar(&j.image, "image", "", "With --pull: the image of the agent.")
	return cmd
}

// member makes the MemberCluster. It is created last by push, so that the server finds all that it needs.
func (j *joinOptions) member(name string, identity rbacv1.Subject, annotations map[string]string) (*clusterv1beta1.MemberCluster, error) {
	set, err := labels.ConvertSelectorToLabelsMap(j.labels)
	if err != nil {
		return nil, fmt.Errorf("--labels=%s: %w", j.labels, err)
	}
	m := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set, Annotations: annotations}}
	m.Spec.Identity = identity
	return m, nil
}

// isNew returns an error if there is a MemberCluster of the name.
func (j *joinOptions) isNew(ctx context.Context, name string) error {
	_, err := j.stagegate.ClusterV1beta1().MemberClusters().Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		return fmt.Errorf("there is a MemberCluster %s, and it is left as it is: kubectl stagegate why cluster/%s", name, name)
	case apierrors.IsNotFound(err):
		return nil
	}
	return err
}

func (j *joinOptions) joinPushed(ctx context.Context, name string) error {
	member, err := j.member(name, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: wellknown.SystemNamespace, Name: wellknown.ServerName}, nil)
	if err != nil {
		return err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = j.kubeconfig
	if j.kubeconfig == "" {
		rules.ExplicitPath = *j.flags.KubeConfig
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: j.context}).ClientConfig()
	if err != nil {
		return fmt.Errorf("kubeconfig of the member: %w", err)
	}
	if j.server == "" {
		j.server = config.Host
	}
	if !strings.HasPrefix(j.server, "https://") {
		return fmt.Errorf("the address of the member is %s: give one that begins with https://, with --member-server", j.server)
	}
	on, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := j.isOther(ctx, on); err != nil {
		return err
	}
	if err := j.isNew(ctx, name); err != nil {
		return err
	}
	// Whether it is there is asked before anything is made on the member.
	secret := wellknown.MemberSecretName(name)
	switch _, err := j.kubernetes.CoreV1().Secrets(wellknown.SystemNamespace).Get(ctx, secret, metav1.GetOptions{}); {
	case err == nil:
		return fmt.Errorf("there is a Secret %[1]s/%[2]s, and it is left as it is: if it is of an earlier attempt, kubectl -n %[1]s delete secret %[2]s", wellknown.SystemNamespace, secret)
	case !apierrors.IsNotFound(err):
		return err
	}
	token, ca, err := j.makeIdentity(ctx, on)
	if err != nil {
		return fmt.Errorf("on the member: %w", err)
	}
	kubeconfig, err := kubeconfigOf(name, j.server, token, ca)
	if err != nil {
		return err
	}
	_, err = j.kubernetes.CoreV1().Secrets(wellknown.SystemNamespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secret}, Data: map[string][]byte{wellknown.MemberKubeconfigKey: kubeconfig},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err := j.stagegate.ClusterV1beta1().MemberClusters().Create(ctx, member, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("the Secret %s/%s is made, and the MemberCluster is not: %w", wellknown.SystemNamespace, secret, err)
	}
	if err := j.await(ctx, name, clusterv1beta1.ConditionTypeMemberClusterJoined); err != nil {
		return err
	}
	j.print("member " + name + " has joined")
	if len(j.clusterRoles) == 0 {
		fmt.Fprintf(j.ErrOut, "The server may place nothing there yet. On the member, bind a ClusterRole with rights on what is placed:\n"+
			"  kubectl create clusterrolebinding stagegate-places --clusterrole=cluster-admin --serviceaccount=%s:%s\n", wellknown.SystemNamespace, memberIdentity)
	}
	return nil
}

// isOther returns an error if the member is the hub itself.
func (j *joinOptions) isOther(ctx context.Context, on kubernetes.Interface) error {
	hub, err := j.kubernetes.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return err
	}
	member, err := on.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("asking the member which cluster it is: %w", err)
	}
	if hub.UID == member.UID {
		return errors.New("the member is the hub itself: give the context or the kubeconfig of another cluster")
	}
	return nil
}

// makeIdentity makes the ServiceAccount that the server is on a member, with its rights, and returns a token of it. What is there stays as it is.
func (j *joinOptions) makeIdentity(ctx context.Context, on kubernetes.Interface) (token, ca []byte, err error) {
	exists := func(_ any, err error) error {
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	create := metav1.CreateOptions{}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(memberagent.Least, role); err != nil {
		return nil, nil, err
	}
	role.Name = "stagegate-least"
	subject := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: wellknown.SystemNamespace, Name: memberIdentity}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: wellknown.SystemNamespace}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: memberIdentity}}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: memberIdentity, Annotations: map[string]string{corev1.ServiceAccountNameKey: memberIdentity}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}
	core := on.CoreV1()
	if err := exists(core.Namespaces().Create(ctx, namespace, create)); err != nil {
		return nil, nil, err
	}
	if err := exists(core.ServiceAccounts(wellknown.SystemNamespace).Create(ctx, account, create)); err != nil {
		return nil, nil, err
	}
	if err := exists(on.RbacV1().ClusterRoles().Create(ctx, role, create)); err != nil {
		return nil, nil, err
	}
	for _, name := range append([]string{role.Name}, j.clusterRoles...) {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "stagegate:" + name}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		}
		if err := exists(on.RbacV1().ClusterRoleBindings().Create(ctx, binding, create)); err != nil {
			return nil, nil, err
		}
	}
	if err := exists(core.Secrets(wellknown.SystemNamespace).Create(ctx, secret, create)); err != nil {
		return nil, nil, err
	}
	// kube-controller-manager writes the token into it.
	watcher, err := core.Secrets(wellknown.SystemNamespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, memberIdentity).String()})
	if err != nil {
		return nil, nil, err
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		made, ok := event.Object.(*corev1.Secret)
		if !ok || event.Type == watch.Deleted {
			continue
		}
		if made.Type != corev1.SecretTypeServiceAccountToken || made.Annotations[corev1.ServiceAccountNameKey] != memberIdentity {
			return nil, nil, fmt.Errorf("the Secret %s/%s is there, and is no token of ServiceAccount %s", wellknown.SystemNamespace, memberIdentity, memberIdentity)
		}
		if token := made.Data[corev1.ServiceAccountTokenKey]; len(token) > 0 {
			return token, made.Data[corev1.ServiceAccountRootCAKey], nil
		}
	}
	return nil, nil, fmt.Errorf("the Secret %s/%s has got no token: does kube-controller-manager run there?", wellknown.SystemNamespace, memberIdentity)
}

// kubeconfigOf makes the kubeconfig with which the server reaches a member.
func kubeconfigOf(name, server string, token, ca []byte) ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{memberIdentity: {Token: string(token)}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: memberIdentity}},
		CurrentContext: name,
	})
}

// await waits until a condition of a member is True. It tells what the member says where that does not come.
func (o *options) await(ctx context.Context, name, conditionType string) error {
	var last *clusterv1beta1.MemberCluster
	err := o.watchMember(ctx, name, func(m *clusterv1beta1.MemberCluster, deleted bool) (bool, error) {
		if deleted {
			return false, fmt.Errorf("MemberCluster %s was deleted", name)
		}
		last = m
		return meta.IsStatusConditionTrue(m.Status.Conditions, conditionType), nil
	})
	if err == nil || last == nil || !errors.Is(err, errNotThere) {
		return err
	}
	return errors.New(view.Clean(fmt.Sprintf("member %s is not %s yet: %s", name, conditionType, troubleOf(last))))
}

var errNotThere = errors.New("it is not there in time")

// watchMember calls done with a member whenever it changes, until that is done.
func (o *options) watchMember(ctx context.Context, name string, done func(m *clusterv1beta1.MemberCluster, deleted bool) (bool, error)) error {
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	for {
		list, err := o.stagegate.ClusterV1beta1().MemberClusters().List(ctx, metav1.ListOptions{FieldSelector: only})
		if ctx.Err() != nil {
			return errNotThere
		}
		if err != nil {
			return err
		}
		member, deleted := &clusterv1beta1.MemberCluster{}, len(list.Items) == 0
		if !deleted {
			member = &list.Items[0]
		}
		if ok, err := done(member, deleted); ok || err != nil {
			return err
		}
		watcher, err := o.stagegate.ClusterV1beta1().MemberClusters().Watch(ctx, metav1.ListOptions{FieldSelector: only, ResourceVersion: list.ResourceVersion})
		if err != nil {
			return err
		}
		// A watch ends from time to time; then there is another one.
		for event := range watcher.ResultChan() {
			member, isMember := event.Object.(*clusterv1beta1.MemberCluster)
			if !isMember {
				break
			}
			if ok, err := done(member, event.Type == watch.Deleted); ok || err != nil {
				watcher.Stop()
				return err
			}
		}
		watcher.Stop()
		if ctx.Err() != nil {
			return errNotThere
		}
	}
}

// firstToken is how long the first token of an agent is good for.
const firstToken = int64(3600)

func (j *joinOptions) joinPulled(ctx context.Context, name string) error {
	if j.image == "" {
		return errors.New("give the image of the agent with --image")
	}
	if j.terminal.isOut() {
		return errors.New("a token for the hub is in what is printed: write it to a file, with > agent.yaml")
	}
	config, err := j.config()
	if err != nil {
		return err
	}
	if j.hubServer == "" {
		j.hubServer = config.Host
	}
	if !strings.HasPrefix(j.hubServer, "https://") {
		return fmt.Errorf("the address of the hub is %s: give one that begins with https://, with --hub-server", j.hubServer)
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return err
	}
	namespace := wellknown.MemberNamespace(name)
	identity := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "agent"}
	member, err := j.member(name, identity, map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull})
	if err != nil {
		return err
	}
	if err := j.isNew(ctx, name); err != nil {
		return err
	}
	if _, err := j.stagegate.ClusterV1beta1().MemberClusters().Create(ctx, member, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := j.await(ctx, name, clusterv1beta1.ConditionTypeMemberClusterReadyToJoin); err != nil {
		return err
	}
	token, err := j.kubernetes.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, identity.Name, tokenRequest(firstToken), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("MemberCluster %s is made, and a token for its agent is not: %w", name, err)
	}
	manifests, err := agentManifests(name, j.image, map[string][]byte{"server": []byte(j.hubServer), "ca.crt": config.CAData, "token": []byte(token.Status.Token)})
	if err != nil {
		return err
	}
	if _, err := j.Out.Write(manifests); err != nil {
		return err
	}
	fmt.Fprintln(j.ErrOut, "Apply this to the member within an hour. The token in it is a credential for the hub.")
	return nil
}

// leaveTimeout is how long the server tries to clean a member up that does not answer, and some more.
const leaveTimeout = 20 * time.Minute

func (o *options) newLeave() *cobra.Command {
	var yes bool
	timeout := leaveTimeout
	cmd := &cobra.Command{
		Use:   "leave NAME",
		Short: "Have a cluster leave the fleet",
		Long: `Have a cluster leave the fleet: delete its MemberCluster, wait until the server has cleaned up after it, and delete the Secret with its credential.
What is placed on the cluster stays there. On the cluster, the ServiceAccount fleet-system/stagegate stays too: delete it there.`,
		Example: `  kubectl stagegate leave paris`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.connect(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return o.leave(ctx, args[0], yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "Do not ask.")
	cmd.Flags().DurationVar(&timeout, "timeout", leaveTimeout, "How long to wait.")
	return cmd
}

func (o *options) leave(ctx context.Context, name string, yes bool) error {
	secretName := wellknown.MemberSecretName(name)
	secrets := o.kubernetes.CoreV1().Secrets(wellknown.SystemNamespace)
	members := o.stagegate.ClusterV1beta1().MemberClusters()
	secret, err := secrets.Get(ctx, secretName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	hasSecret := err == nil
	secretLeft := fmt.Sprintf("Secret %[1]s/%[2]s stays: if nobody needs it, kubectl -n %[1]s delete secret %[2]s", wellknown.SystemNamespace, secretName)
	member, err := members.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && hasSecret:
		// An earlier attempt may have ended here, or the cluster is about to join.
		return fmt.Errorf("there is no MemberCluster %s, and its %s", name, secretLeft)
	case err != nil:
		return err
	}
	if !yes {
		if !o.terminal.asks() {
			return errors.New("there is nobody to ask: give --yes")
		}
		o.print(fmt.Sprintf("Cluster %s leaves the fleet. What is placed there stays there, and nothing looks after it any more.", name))
		if err := o.confirm("Go on?"); err != nil {
			return err
		}
	}
	if err := members.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &member.UID}}); err != nil {
		return err
	}
	err = o.watchMember(ctx, name, func(m *clusterv1beta1.MemberCluster, deleted bool) (bool, error) {
		return deleted || m.UID != member.UID, nil
	})
	if err != nil {
		return fmt.Errorf("member %s is leaving: %w; delete the Secret %s/%s once it has left", name, err, wellknown.SystemNamespace, secretName)
	}
	if hasSecret {
		// A pipeline may have made the MemberCluster anew meanwhile, or given it another credential: that one is needed.
		switch _, err := members.Get(ctx, name, metav1.GetOptions{}); {
		case err == nil:
			return fmt.Errorf("member %s has left, and there is another MemberCluster of that name: %s", name, secretLeft)
		case !apierrors.IsNotFound(err):
			return err
		}
		seen := &metav1.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}
		switch err := secrets.Delete(ctx, secretName, metav1.DeleteOptions{Preconditions: seen}); {
		case apierrors.IsConflict(err):
			return fmt.Errorf("member %s has left, and somebody has changed its credential meanwhile: %s", name, secretLeft)
		case err != nil && !apierrors.IsNotFound(err):
			return err
		}
	}
	o.print("member " + name + " has left")
	return nil
}
