// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	healthKey = "resource.customizations.health."

	// scriptTimeout is how long Argo CD lets a script run.
	scriptTimeout = time.Second
)

// argoCD evaluates objects by the scripts of a ConfigMap argocd-cm, by their keys there.
type argoCD map[string]string

// health returns what Argo CD makes of an object that is not being deleted. Without a script for the kind both are empty, and Argo CD takes
// the object to be Healthy.
func (a argoCD) health(obj *unstructured.Unstructured) (status, message string, err error) {
	script, found := a[scriptKey(obj.GroupVersionKind())]
	if !found {
		return "", "", nil
	}
	returned, err := runScript(script, obj)
	if err != nil {
		return "", "", fmt.Errorf("the script for %s: %w", obj.GetKind(), err)
	}
	table, ok := returned.(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script for %s returned a %s, not a table", obj.GetKind(), returned.Type())
	}
	return table.RawGetString("status").String(), table.RawGetString("message").String(), nil
}

func scriptKey(kind schema.GroupVersionKind) string { return healthKey + kind.Group + "_" + kind.Kind }

// runScript runs a script as Argo CD does without useOpenLibs: with the basic functions, and those for packages and tables.
func runScript(script string, obj *unstructured.Unstructured) (lua.LValue, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", inLua(state, obj.Object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	return state.Get(-1), nil
}

func inLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(inLua(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, inLua(state, item))
		}
		return table
	}
	return lua.LNil
}
