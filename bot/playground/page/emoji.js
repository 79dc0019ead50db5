// Short names of emoji and the characters they stand for. A name not in this table is shown as `:name:`.

const TABLE = `
eyes 👀|x ❌|white_check_mark ✅|heavy_check_mark ✔️|+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|ok_hand 👌|wave 👋|clap 👏|pray 🙏
raised_hands 🙌|muscle 💪|point_right 👉|point_up ☝️|raised_hand ✋|hand ✋|tada 🎉|sparkles ✨|star ⭐|fire 🔥|rocket 🚀|zap ⚡
boom 💥|heart ❤️|blue_heart 💙|green_heart 💚|100 💯|bulb 💡|question ❓|exclamation ❗|bangbang ‼️|warning ⚠️|no_entry ⛔
no_entry_sign 🚫|octagonal_sign 🛑|stop_sign 🛑|rotating_light 🚨|construction 🚧|construction_worker 👷|hourglass ⌛
hourglass_flowing_sand ⏳|stopwatch ⏱️|alarm_clock ⏰|clock1 🕐|watch ⌚|calendar 📅|date 📅|lock 🔒|unlock 🔓|key 🔑|shield 🛡️
mag 🔍|memo 📝|pencil ✏️|pencil2 ✏️|page_facing_up 📄|clipboard 📋|bar_chart 📊|chart_with_upwards_trend 📈
chart_with_downwards_trend 📉|file_folder 📁|open_file_folder 📂|package 📦|paperclip 📎|link 🔗|gear ⚙️|wrench 🔧|hammer 🔨
hammer_and_wrench 🛠️|robot_face 🤖|computer 💻|desktop_computer 🖥️|floppy_disk 💾|bug 🐛|ghost 👻|skull 💀|snowflake ❄️|ice_cube 🧊
thermometer 🌡️|moneybag 💰|dollar 💵|coin 🪙|receipt 🧾|scales ⚖️|smile 😄|smiley 😃|grinning 😀|grin 😁|joy 😂|slightly_smiling_face 🙂
wink 😉|blush 😊|heart_eyes 😍|thinking_face 🤔|neutral_face 😐|cry 😢|sob 😭|scream 😱|sweat_smile 😅|sunglasses 😎|confused 😕
face_with_monocle 🧐|see_no_evil 🙈|crossed_fingers 🤞|red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡
large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣|white_circle ⚪|black_circle ⚫|red_square 🟥|large_green_square 🟩
white_large_square ⬜|black_large_square ⬛|ballot_box_with_check ☑️|arrow_right ➡️|arrow_left ⬅️|arrow_up ⬆️|arrow_down ⬇️
arrow_forward ▶️|double_vertical_bar ⏸️|pause_button ⏸️|black_square_for_stop ⏹️|stop_button ⏹️|fast_forward ⏩|rewind ⏪
leftwards_arrow_with_hook ↩️|arrow_right_hook ↪️|repeat 🔁|arrows_counterclockwise 🔄|information_source ℹ️|speech_balloon 💬
thought_balloon 💭|loudspeaker 📢|mega 📣|bell 🔔|no_bell 🔕|inbox_tray 📥|outbox_tray 📤|email 📧|envelope ✉️
wastebasket 🗑️|pushpin 📌|round_pushpin 📍|triangular_flag_on_post 🚩|checkered_flag 🏁|label 🏷️|books 📚|book 📖|globe_with_meridians 🌐
cloud ☁️|sunny ☀️|rainbow 🌈|coffee ☕|pizza 🍕|cake 🍰|seedling 🌱|evergreen_tree 🌲|dog 🐶|cat 🐱|building_construction 🏗️
zzz 💤|new 🆕|ok 🆗|sos 🆘|one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|six 6️⃣|seven 7️⃣|eight 8️⃣|nine 9️⃣|zero 0️⃣`;

export const EMOJI = new Map(
  TABLE.trim()
    .split(/[|\n]/)
    .map((pair) => {
      const [name, character] = pair.split(" ");
      return [name, character];
    }),
);

/** What the reaction picker offers first: what Banksman itself reacts to, then the usual politeness. */
export const QUICK = [
  "eyes",
  "x",
  "white_check_mark",
  "+1",
  "-1",
  "tada",
  "heart",
  "question",
  "warning",
  "octagonal_sign",
  "rocket",
  "bulb",
];

/** The character for a short name (skin tones are dropped), or `undefined`. */
export const emoji = (name) => EMOJI.get(name.split("::")[0]);
