/** The three ways in which a deployment gets here, each to be copied. */
import { CopyButton } from '../shell/copy-button';
import { text } from './text';

export function Ways() {
  const origin = location.origin;
  const ways = [
    { title: text.ways.tag, why: text.ways.tagWhy, command: 'export OTEL_RESOURCE_ATTRIBUTES=service.name=checkout,service.version=2.3.1' },
    {
      title: text.ways.http,
      why: text.ways.httpWhy,
      command: [
        `curl -i ${origin}/api/v2/deployments -d '{`,
        `  "serviceName": "checkout", "version": "2.3.1", "environment": "prod",`,
        `  "startTs": '$(date +%s000)'}'`,
      ].join('\n'),
    },
    {
      title: text.ways.pipeline,
      why: text.ways.pipelineWhy,
      command: [
        `tracehound deploy --server ${origin} --service checkout --version 2.3.1 --id "$RUN"`,
        `./roll-out`,
        `tracehound deploy --server ${origin} --service checkout --version 2.3.1 --id "$RUN" --end now`,
        `tracehound gate --server ${origin} --service checkout --version 2.3.1 --monitor 15m || ./roll-back`,
      ].join('\n'),
    },
  ];
  return (
    <ol class="deployments-ways">
      {ways.map(({ title, why, command }) => (
        <li key={title}>
          <h2>{title}</h2>
          <p>{why}</p>
          <pre tabIndex={0}>{command}</pre>
          <CopyButton words={() => command} label={text.copyWay(title)} />
        </li>
      ))}
    </ol>
  );
}
