import type { BrokerError, Draft, MainBroker } from "../broker/broker.ts";
import type { Config } from "../config/options.ts";
import { AfterEvents } from "./after-events.ts";
import { BeforeSend } from "./before-send.ts";
import { Endpoint } from "./endpoint.ts";
import type { WebhookFigures } from "./figures.ts";
import { WebhookBroker } from "./webhook-broker.ts";

/** After events can wait: what they cost an application that is slow is only its own time. */
const AFTER_TIMEOUT_MS = 10_000;

/** @param broker as `withWebhooks` gave it */
export const webhookFigures = (
  broker: Pick<MainBroker<never>, "close">,
): WebhookFigures | undefined =>
  broker instanceof WebhookBroker ? broker.figures : undefined;

/**
 * @param hindrance why a message that waited for the application may not be sent any more
 * @returns the broker, with the webhooks around it that are configured
 */
export function withWebhooks<Origin>(
  broker: MainBroker<Origin>,
  config: Config,
  hindrance: (draft: Draft) => BrokerError | undefined,
  tell: (message: string) => void,
): MainBroker<Origin> {
  const { beforeSendUrl, webhookUrl, webhookSecret } = config;
  if (!beforeSendUrl && !webhookUrl) return broker;
  const before = beforeSendUrl
    ? new BeforeSend(
        new Endpoint(beforeSendUrl, webhookSecret, config.beforeSendTimeoutMs),
        {
          failure: config.beforeSendFailure,
          maxTextBytes: config.maxTextBytes,
          maxDataBytes: config.maxDataBytes,
          tell,
        },
      )
    : undefined;
  const after = webhookUrl
    ? new AfterEvents(
        new Endpoint(webhookUrl, webhookSecret, AFTER_TIMEOUT_MS),
        tell,
      )
    : undefined;
  return new WebhookBroker(broker, before, after, hindrance);
}
