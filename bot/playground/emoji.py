"""Emoji short names Slack knows; a reaction with another name is `invalid_name`.

Not all of Slack's 3,700: the ones people and bots use. A team adds its own through the seed.
"""

_NAMES = """
+1 -1 100 1234 a ab abacus abc airplane alarm_clock angry anguished ant apple arrow_down arrow_forward
arrow_heading_down arrow_heading_up arrow_left arrow_lower_right arrow_right arrow_right_hook arrow_up
arrow_upper_right arrows_counterclockwise art astonished atom_symbol avocado b back ballot_box_with_ballot
ballot_box_with_check banana bangbang bank bar_chart battery bear bee beer beers bell bicyclist bike birthday
black_circle black_heart black_large_square black_square_for_stop blossom blue_book blue_heart blush bomb book
bookmark bookmark_tabs books boom bow brain brick broken_heart bug building_construction bulb bus bust_in_silhouette
busts_in_silhouette cactus cake calendar calling camera card_index card_index_dividers carrot cat
chart_with_downwards_trend chart_with_upwards_trend checkered_flag cherry_blossom clap clapper clipboard clock1
clock12 clock3 clock6 clock9 closed_book closed_lock_with_key cloud clubs coffee coin cold_sweat comet compression
computer confetti_ball confounded confused construction construction_worker control_knobs cookie cool copyright cow
credit_card crescent_moon crossed_fingers crossed_flags crown cry crying_cat_face crystal_ball curly_loop cyclone
dart dash date desert_island desktop_computer disappointed dizzy dizzy_face dna dog dollar dolphin door
double_vertical_bar doughnut dove dragon droplet ear earth_africa earth_americas earth_asia egg eight electric_plug
elephant email envelope euro evergreen_tree exclamation exploding_head eye eyes face_palm face_with_head_bandage
face_with_monocle face_with_raised_eyebrow facepunch factory fallen_leaf fast_forward fax fearful feather
file_cabinet file_folder fire fire_engine first_place_medal fish five flashlight floppy_disk flushed flying_saucer
four four_leaf_clover fox_face fries frog gear gem ghost gift globe_with_meridians goal_net grapes green_apple
green_book green_heart green_salad grey_exclamation grey_question grimacing grin grinning guitar hammer
hammer_and_pick hammer_and_wrench hand handshake hankey hatching_chick heart heart_eyes heartbeat hearts
heavy_check_mark heavy_division_sign heavy_dollar_sign heavy_exclamation_mark heavy_minus_sign
heavy_multiplication_x heavy_plus_sign helicopter herb hibiscus high_brightness horse hospital hotdog hourglass
hourglass_flowing_sand house hugging_face hushed ice_cube id inbox_tray incoming_envelope information_source
innocent interrobang joy key keyboard keycap_star knife label ladder large_blue_circle large_blue_square
large_brown_circle large_green_circle large_green_square large_orange_circle large_orange_square large_purple_circle
large_purple_square large_red_square large_yellow_circle large_yellow_square laughing leaves ledger left_right_arrow
leftwards_arrow_with_hook lemon level_slider link lion_face lock lock_with_ink_pen loop loud_sound loudspeaker
lower_left_ballpoint_pen mag mag_right magnet mailbox man-shrugging maple_leaf mask mechanical_arm medal mega
melting_face memo microphone microscope milky_way money_with_wings moneybag monkey monkey_face moon mouse
movie_camera muscle mushroom musical_note nerd_face neutral_face new newspaper nine no_bell no_entry no_entry_sign
no_good no_mouth no_smoking notebook notes nut_and_bolt octagonal_sign octopus ok ok_hand ok_woman old_key one
open_book open_file_folder open_mouth orange_book orange_heart outbox_tray owl package page_facing_up page_with_curl
paintbrush palm_tree panda_face paperclip parrot partying_face pencil pencil2 penguin pensive persevere phone pill
pinched_fingers pizza point_down point_left point_right point_up point_up_2 police_car popcorn potable_water pray
printer purple_heart pushpin question rabbit radio rage rainbow raised_hand raised_hands raising_hand ram receipt
recycle red_circle repeat repeat_one restroom rewind ribbon ring robot_face rocket rolled_up_newspaper
rolling_on_the_floor_laughing rose rotating_light round_pushpin runner sa sad saluting_face satellite
satellite_antenna scales school scissors scream scroll second_place_medal see_no_evil seedling seven shark sheep
shield ship shrimp shrug shushing_face signal_strength six skull skull_and_crossbones sleeping sleepy
slightly_frowning_face slightly_smiling_face slot_machine small_blue_diamond small_orange_diamond smile smiley smirk
smoking snail snake snowflake snowman sob soccer sos sound spades sparkle sparkler sparkles sparkling_heart
speak_no_evil speaker speech_balloon spider spiral_calendar_pad spiral_note_pad squid stadium star star-struck star2
stars stopwatch strawberry stuck_out_tongue sunflower sunglasses sunny sweat sweat_drops sweat_smile taco tada
tangerine tea telephone telescope test_tube thermometer thinking_face third_place_medal thought_balloon three
thumbsdown thumbsup ticket timer_clock tired_face tm toolbox tools top tophat tornado traffic_light train
triangular_flag_on_post triangular_ruler triumph trophy truck tulip turtle two u7121 umbrella unamused underage
unicorn_face unlock up upside_down_face v vertical_traffic_light video_camera video_game vs walking warning
wastebasket watch watermelon wave wavy_dash whale wheelchair white_check_mark white_circle white_heart
white_large_square wind_blowing_face wink woman-shrugging wood wrench writing_hand x yellow_heart yum zany_face zap
zero zipper_mouth_face zzz
"""

KNOWN = frozenset(_NAMES.split())


def is_known(name: str, custom: frozenset[str]) -> bool:
    """Whether this is an emoji; `wave::skin-tone-3` is."""
    base, _, tone = name.partition("::")
    if tone and tone not in {f"skin-tone-{number}" for number in range(2, 7)}:
        return False
    return base in KNOWN or base in custom
