#!/bin/sh
# Writes prometheusrule.yaml from deploy/prometheus/rules, which are the source: kustomize cannot put a file into a
# custom resource. The tests tell when it is to be run.
set -eu
cd "$(dirname "$0")"
{
  cat <<'EOF'
# Written by generate.sh from deploy/prometheus/rules: change those.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: dcgan
spec:
  groups:
EOF
  for file in ../../../prometheus/rules/*.yml; do
    sed -e '1,/^groups:/d' -e 's/^./  &/' "$file"
  done
} >prometheusrule.yaml
