// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// serviceAccountIssuer is whose tokens the clusters accept.
const serviceAccountIssuer = "https://kubernetes.default.svc"

// Token returns a token of a ServiceAccount of a cluster as the cluster signs them, valid between any times: a cluster itself gives none
// that lives for less than ten minutes.
func (e *Environment) Token(ctx context.Context, cluster, namespace, account string, from, until time.Time) (string, error) {
	config, err := e.RESTConfig(cluster)
	if err != nil {
		return "", err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	found, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, account, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	signer, err := ensureKey(e.pki(cluster, "service-accounts.key"))
	if err != nil {
		return "", err
	}
	key, ok := signer.(*ecdsa.PrivateKey)
	if !ok {
		return "", fmt.Errorf("the key of ServiceAccounts of %s is a %T", cluster, signer)
	}
	var parts [2]string
	for i, part := range []map[string]any{
		{"alg": "ES256", "typ": "JWT"},
		{
			"iss": serviceAccountIssuer, "aud": []string{serviceAccountIssuer}, "sub": "system:serviceaccount:" + namespace + ":" + account,
			"iat": from.Unix(), "nbf": from.Unix(), "exp": until.Unix(),
			"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": account, "uid": found.UID}},
		},
	} {
		data, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(data)
	}
	signed := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	// A signature is two numbers of the size of the curve.
	size := (key.Curve.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
