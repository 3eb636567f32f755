/** One objective: what is left of its budget, how fast it goes, how it went, and what deployments spent of it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { type Answer, ApiError } from '../api';
import { deleteObjective, getBudget, getObjective } from '../api/objectives';
import type { Budget, Objective } from '../api/schema';
import { getDeploymentsUntil } from '../api/services';
import { digits, formatDuration, formatShare } from '../format';
import { changeParameters, navigate } from '../location';
import { useRequest } from '../request';
import { announce } from '../shell/announcer';
import { Asked, Failure } from '../shell/asked';
import { Figures } from '../shell/figures';
import { Link } from '../shell/link';
import { Message } from '../shell/message';
import { RegressedLive } from '../shell/regressed-live';
import { TableBox } from '../shell/table-box';
import { burnIn, objectiveText } from './budget';
import { BudgetBar } from './budget-bar';
import { Burndown } from './burndown';
import { draftOf } from './form';
import { ObjectiveForm } from './objective-form';
import { Burn, Exhausted, Whose } from './objectives-page';
import { SpentByDeployment } from './spent-by-deployment';
import { text } from './text';

interface Properties {
  name: string;
  search: string;
}

export function ObjectivePage({ name, search }: Properties) {
  useEffect(() => {
    document.title = `${name} · Tracehound`;
  }, [name]);
  const objective = useRequest(name, (signal) => getObjective(name, signal));
  const editing = new URLSearchParams(search).get('edit') === 'true';
  return (
    <main class="page slo-page">
      <p class="muted">
        <Link path="slo">{text.all}</Link>
      </p>
      <h1 class="slo-title">
        <bdi>{name}</bdi>
      </h1>
      {objective.error?.status === 404 ? (
        <Message title={text.unknown(name)}>
          <Link path="slo">{text.all}</Link>
        </Message>
      ) : (
        <Asked request={objective}>
          {(known) =>
            editing ? (
              <ObjectiveForm
                existing
                initial={draftOf(known)}
                onDone={(saved) => {
                  changeParameters({ edit: null }, 'push');
                  if (saved !== null) objective.retry();
                }}
              />
            ) : (
              <Shown objective={known} search={search} />
            )
          }
        </Asked>
      )}
    </main>
  );
}

function Shown({ objective, search }: { objective: Objective; search: string }) {
  const { name, serviceName, windowDays } = objective;
  const now = useMemo(() => Date.now(), [objective]);
  const budget = useRequest(`${JSON.stringify(objective)} ${now}`, (signal) => getBudget(name, now, signal));
  const deployments = useRequest(`${serviceName} ${now}`, (signal) => getDeploymentsUntil(now, serviceName, signal));
  const known = deployments.answer?.body ?? [];
  return (
    <>
      <p>
        {text.summary(objectiveText(objective), text.days(windowDays))} <Whose objective={objective} />
      </p>
      <p class="slo-ways">
        <button type="button" onClick={() => changeParameters({ edit: 'true' }, 'push')}>
          {text.edit}
        </button>
        <Remove name={name} />
      </p>
      <Failure request={deployments} />
      <RegressedLive deployments={known} />
      <Asked request={budget} missing={({ missing }: Answer<Budget>) => missing}>
        {({ body }) => (
          <>
            <BudgetFigures budget={body} />
            <BurnRates budget={body} />
          </>
        )}
      </Asked>
      <Burndown objective={objective} endTs={now} deployments={known} />
      <SpentByDeployment objective={objective} deployments={known} search={search} at={now} />
    </>
  );
}

function BudgetFigures({ budget }: { budget: Budget }) {
  const { sli, good, bad, valid, budgetRequests, countedBy } = budget;
  const figures = [
    { name: text.left, value: <BudgetBar budget={budget} /> },
    { name: text.exhausted, value: <Exhausted budget={budget} /> },
    { name: text.now, value: sli == null ? '–' : formatShare(sli) },
    { name: text.good, value: good.toLocaleString('en') },
    { name: text.bad, value: bad.toLocaleString('en') },
    { name: text.valid, value: valid.toLocaleString('en') },
    { name: text.allowed, value: digits(budgetRequests) },
  ];
  return (
    <>
      <Figures figures={figures} />
      <p class="chart-summary">{text.countedBy[countedBy]}</p>
    </>
  );
}

function BurnRates({ budget }: { budget: Budget }) {
  return (
    <section class="slo-section">
      <h2>{text.burnRates}</h2>
      <p class="chart-summary">{text.burnRatesWhy}</p>
      <div class="slo-sides">
        <TableBox label={text.alerts}>
          <table>
            <thead>
              <tr>
                <th scope="col">{text.state}</th>
                <th scope="col" class="number">{text.threshold}</th>
                <th scope="col" class="number">{text.longWindow}</th>
                <th scope="col" class="number">{text.shortWindow}</th>
              </tr>
            </thead>
            <tbody>
              {budget.alerts.map(({ threshold, longWindow, shortWindow, firing }) => (
                <tr key={threshold}>
                  <td>{firing ? <span class="slo-fast">{text.fires}</span> : <span class="muted">{text.rests}</span>}</td>
                  <td class="number">{text.burnTimes(digits(threshold))}</td>
                  {[longWindow, shortWindow].map((window) => (
                    <td key={window} class="number">
                      <span class="muted">{formatDuration(window * 1000)}</span> <Burn budget={budget} window={window} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </TableBox>
        <TableBox label={text.burnRates}>
          <table>
            <thead>
              <tr>
                <th scope="col">{text.window}</th>
                <th scope="col" class="number">{text.burnRate}</th>
                <th scope="col" class="number">{text.bad}</th>
                <th scope="col" class="number">{text.requests}</th>
              </tr>
            </thead>
            <tbody>
              {budget.burnRates.map(({ window, bad, valid }) => (
                <tr key={window}>
                  <td>{text.lastWindow(formatDuration(window * 1000))}</td>
                  <td class="number">{burnIn(budget, window)?.shown === undefined ? <span class="muted">{text.tooFew}</span> : <Burn budget={budget} window={window} />}</td>
                  <td class="number">{bad.toLocaleString('en')}</td>
                  <td class="number">{valid.toLocaleString('en')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableBox>
      </div>
    </section>
  );
}

/** Asks before it deletes. */
function Remove({ name }: { name: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const remove = async () => {
    try {
      await deleteObjective(name);
      announce(text.removed(name));
      navigate('slo');
    } catch (error) {
      setRefusal(error instanceof ApiError ? error.message : String(error));
    }
  };
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        {text.remove}
      </button>
      <dialog ref={dialog} class="slo-dialog" aria-label={text.removeAsk(name)}>
        <h2 class="slo-title">{text.removeAsk(name)}</h2>
        <p>{text.removeWhy}</p>
        {refusal !== null && (
          <p class="error-note" role="alert">
            {text.notRemoved}: {refusal}
          </p>
        )}
        <form method="dialog" class="slo-ways">
          <button type="button" class="slo-remove" onClick={() => void remove()}>
            {text.remove}
          </button>
          <button type="submit">{text.keep}</button>
        </form>
      </dialog>
    </>
  );
}
