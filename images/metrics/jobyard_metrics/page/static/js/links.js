// Addresses in Airflow and Argo CD, or null where the environment's are not known.

import { summary } from "./data.js";

export function jobUrl(job) {
  const { airflow } = summary().settings;
  return airflow ? `${airflow}/dags/${dagId(job)}` : null;
}

export function runUrl(job, run) {
  const { airflowMajor } = summary().settings;
  const base = jobUrl(job);
  if (!base || !run) return null;
  const id = encodeURIComponent(run);
  return airflowMajor === 2 ? `${base}/grid?dag_run_id=${id}` : `${base}/runs/${id}`;
}

export function teamUrl(team) {
  const { argocd, argocdNamespace } = summary().settings;
  return argocd ? `${argocd}/applications/${argocdNamespace}/${encodeURIComponent(`team-${team}`)}` : null;
}

const dagId = (job) => encodeURIComponent(`${job.team}.${job.job}`);
