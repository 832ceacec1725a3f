import type { ComponentChild } from "preact";

interface Props<T extends string> {
  readonly legend: string;
  readonly name: string;
  readonly options: readonly {
    readonly value: T;
    readonly label: string;
    readonly icon?: ComponentChild;
  }[];
  readonly value: T;
  readonly choose: (value: T) => void;
}

/** One of a few, side by side: radio buttons, and used like them. */
export function Choice<T extends string>(props: Props<T>) {
  const { legend, name, options, value, choose } = props;
  return (
    <fieldset class="choice">
      <legend class="unseen">{legend}</legend>
      {options.map((option) => (
        <label key={option.value} title={option.label}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => choose(option.value)}
          />
          <span class="choice-face">
            {option.icon}
            <span class={option.icon ? "unseen" : undefined}>
              {option.label}
            </span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
